#include "executor/window_model.hpp"

#include "executor/session.hpp"

namespace edgesnn::executor {
namespace {

class NativeWindowModel final : public pipeline::WindowModel, private StepSink {
  public:
    explicit NativeWindowModel(std::shared_ptr<const Model> model)
        : session_(std::move(model)),
          scores_(session_.model().outputs()[static_cast<size_t>(session_.model().readout())]) {}

    Status infer(const encode::PointWindow& window, pipeline::Inference& out) noexcept override {
        try {
            session_.check(window);
            out.scores.resize(elements(session_.model().type(scores_).shape));
            out_ = &out;
            session_.run(window, *this);
            const Counters total = session_.total();
            out.spikes = total.spikes;
            out.synops = total.synops;
            out.macs = total.macs;
        } catch (const Error& error) {
            return error.status();
        } catch (const std::exception& error) {
            return {ErrorKind::internal, error.what(), {}, -1, {}, {}, {}};
        }
        return {};
    }

    void save(StateWriter& writer) const override { session_.save(writer); }
    void load(const StateReader& reader) override { session_.load(reader); }

  private:
    void steps(const Session& session, size_t, size_t count) noexcept override {
        session.copy_value(scores_, count - 1, out_->scores.data());
    }

    Session session_;
    int scores_;
    pipeline::Inference* out_ = nullptr;  // of the call
};

}  // namespace

std::unique_ptr<pipeline::WindowModel> make_window_model(std::shared_ptr<const Model> model) {
    if (model->spec().input.kind != "points")
        throw Error(ErrorKind::model, "model does not take windows of points", "input", model->spec().input.kind,
                    "points");
    if (model->readout() < 0) throw Error(ErrorKind::model, "model has no readout", "readout");
    return std::make_unique<NativeWindowModel>(std::move(model));
}

}  // namespace edgesnn::executor
