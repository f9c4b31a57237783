#include "pipeline/executor_model.hpp"

#include "executor/session.hpp"
#include "executor/window_check.hpp"

namespace edgesnn::pipeline {
namespace {

using executor::Kind;
using executor::Session;

class NativeWindowModel final : public WindowModel, private executor::StepSink {
  public:
    NativeWindowModel(std::shared_ptr<const executor::Model> model, const Readout& readout)
        : session_(std::move(model)),
          exit_(readout),
          scores_(session_.model().outputs()[static_cast<size_t>(session_.model().readout())]) {}

    Status infer(const encode::Encoded& window, Inference& out) noexcept override {
        try {
            out.steps = out.spikes = out.synops = out.macs = 0;
            out.scores.resize(executor::elements(session_.model().type(scores_).shape));
            out_ = &out;
            std::visit([this](const auto& events) { infer_window(events); }, window);
        } catch (const Error& error) {
            return error.status();
        } catch (const std::exception& error) {
            return {ErrorKind::internal, error.what(), {}, -1, {}, {}, {}};
        }
        return {};
    }

    void save(StateWriter& writer) const override { session_.save(writer); }
    void load(const StateReader& reader) override { session_.load(reader); }
    void reset() override { session_.reset(); }

  private:
    // All steps in one call, or one after the other where any may be the last.
    template <typename Window>
    void infer_window(const Window& window) {
        check_window(session_.model(), window);
        if (!exit_.on()) {
            session_.run(window, *this);
            return take(steps_of(window));
        }
        session_.begin_window();
        for (int64_t step = 0; step < steps_of(window); ++step) {
            step_window(window, static_cast<size_t>(step));
            take(1);
            if (exit_.stops(out_->scores, out_->steps)) return;
        }
    }

    int64_t steps_of(const encode::PointWindow&) const noexcept { return session_.model().spec().input.steps; }
    int64_t steps_of(const encode::SpikeWindow& window) const noexcept { return static_cast<int64_t>(window.steps()); }
    void step_window(const encode::PointWindow& window, size_t) { session_.step(window, *this); }
    void step_window(const encode::SpikeWindow& window, size_t step) { session_.run(window, step, 1, *this); }

    void take(int64_t steps) noexcept {
        const executor::Counters total = session_.total();
        out_->steps += steps;
        out_->spikes += total.spikes;
        out_->synops += total.synops;
        out_->macs += total.macs;
    }

    void steps(const Session& session, size_t, size_t count) noexcept override {
        session.copy_value(scores_, count - 1, out_->scores.data());
    }

    Session session_;
    EarlyExit exit_;
    int scores_;
    Inference* out_ = nullptr;  // of the call
};

}  // namespace

std::unique_ptr<WindowModel> make_window_model(std::shared_ptr<const executor::Model> model, const Readout& readout) {
    const Kind kind = model->type(0).kind;
    if (kind == Kind::token)
        throw Error(ErrorKind::model, "model does not take windows of events", "input", model->spec().input.kind,
                    "points, spikes or dense");
    if (model->readout() < 0) throw Error(ErrorKind::model, "model has no readout", "readout");
    return std::make_unique<NativeWindowModel>(std::move(model), readout);
}

}  // namespace edgesnn::pipeline
