#include "executor/fusion.hpp"

#include <algorithm>

#include "kernels/kernels.hpp"

namespace edgesnn::executor {
namespace {

class Finder {
  public:
    Finder(const std::vector<Step>& steps, const std::vector<ValueType>& types, const std::vector<int>& outputs,
           const std::vector<int>& loop, bool points)
        : steps_(steps), types_(types), loop_(loop), points_(points), readers_(types.size(), 0) {
        for (const int value : outputs) readers_[static_cast<size_t>(value)] = kMany;
        for (const Step& step : steps)
            for (const int input : step.inputs) ++readers_[static_cast<size_t>(input)];
        found_.partner.assign(steps.size(), -1);
    }

    Fusion find() {
        find_partners();
        do find_bits();
        while (part_without_bits());
        return std::move(found_);
    }

  private:
    static constexpr int kMany = 1 << 20;  // an output is read by others than operators

    void find_partners() {
        std::vector<size_t> reader(readers_.size(), 0);  // by value: the last of its readers
        for (size_t i = 0; i < steps_.size(); ++i)
            for (const int input : steps_[i].inputs) reader[static_cast<size_t>(input)] = i;
        for (size_t i = 0; i < steps_.size(); ++i) {
            const auto value = static_cast<size_t>(steps_[i].first_output);
            const size_t j = reader[value];
            if (readers_[value] != 1 || steps_[j].inputs.size() != 1 || loop_[i] >= 0 || loop_[j] >= 0) continue;
            if (steps_[j].op->rows(0) < 2 || !steps_[i].op->fuses(*steps_[j].op)) continue;
            found_.partner[i] = static_cast<int>(j), found_.partner[j] = static_cast<int>(i);
        }
    }

    bool first_of_two(size_t step) const { return found_.partner[step] > static_cast<int>(step); }

    // Whoever makes it and everyone who reads it can.
    void find_bits() {
        found_.bits.assign(types_.size(), false);
        if (!points_) return;
        for (size_t i = 0; i < steps_.size(); ++i)
            for (size_t output = 0; output < steps_[i].op->outputs.size(); ++output) {
                const auto value = static_cast<size_t>(steps_[i].first_output) + output;
                const size_t maker = found_.partner[i] < 0 ? i : static_cast<size_t>(found_.partner[i]);
                if (first_of_two(i) || types_[value].stride() > kernels::kBitColumns) continue;
                found_.bits[value] = readers_[value] > 0 && readers_[value] < kMany && steps_[maker].op->makes_bits();
            }
        for (size_t i = 0; i < steps_.size(); ++i)
            for (const int input : steps_[i].inputs)
                if (!first_of_two(i) || !steps_[i].op->reads_bits()) found_.bits[static_cast<size_t>(input)] = false;
    }

    // Whether two were parted that can only be one where their inputs are bits.
    bool part_without_bits() {
        bool parted = false;
        for (size_t i = 0; i < steps_.size(); ++i) {
            if (!first_of_two(i) || !steps_[i].op->needs_bits()) continue;
            const auto& inputs = steps_[i].inputs;
            const auto lies_as_bits = [this](int input) { return bool{found_.bits[static_cast<size_t>(input)]}; };
            if (std::all_of(inputs.begin(), inputs.end(), lies_as_bits)) continue;
            found_.partner[static_cast<size_t>(found_.partner[i])] = -1;
            found_.partner[i] = -1;
            parted = true;
        }
        return parted;
    }

    const std::vector<Step>& steps_;
    const std::vector<ValueType>& types_;
    const std::vector<int>& loop_;
    bool points_;
    std::vector<int> readers_;  // by value
    Fusion found_;
};

}  // namespace

Fusion find_fusion(const std::vector<Step>& steps, const std::vector<ValueType>& types, const std::vector<int>& outputs,
                   const std::vector<int>& loop, bool points) {
    return Finder(steps, types, outputs, loop, points).find();
}

}  // namespace edgesnn::executor
