#include "executor/window_model.hpp"

#include "executor/session.hpp"

namespace edgesnn::executor {
namespace {

class NativeWindowModel final : public pipeline::WindowModel {
  public:
    explicit NativeWindowModel(std::shared_ptr<const Model> model) : session_(std::move(model)) {}

    Status infer(const encode::PointWindow& window, pipeline::Inference& out) noexcept override {
        try {
            session_.check(window);
            const Model& model = session_.model();
            const int scores = model.outputs()[static_cast<size_t>(model.readout())];
            out.scores.resize(model.type(scores).columns());
            session_.run(window);
            session_.copy_value(scores, static_cast<size_t>(model.spec().input.steps - 1), out.scores.data());
            out.spikes = session_.counters().spikes;
            out.synops = session_.counters().synops;
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
    Session session_;
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
