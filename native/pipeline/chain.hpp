// The chain in the caller's thread: packets in, one decision at a time out (docs/pipeline.md).
//
//   InputQueue (decode) -> FilterStage -> WindowCutter -> Encoder -> WindowModel -> Decide
//
// push only copies; poll does the work for at most one decision, so nothing is dropped for lack of a reader and a jump
// of hours is paid for window by window. One thread at a time. The same packets in any split give the same decisions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "encode/encoder.hpp"
#include "events/windows/window_cutter.hpp"
#include "pipeline/decide.hpp"
#include "pipeline/filter_stage.hpp"
#include "pipeline/input_queue.hpp"
#include "pipeline/window_model.hpp"

namespace edgesnn::pipeline {

struct ChainOptions {
    events::WindowOptions windows;  // without the sensor's size
    int64_t min_events = 0;         // a window with fewer, or none, is idle
    bool run_idle = false;          // the model sees idle windows too: its state goes on from window to window
    encode::Sensor sensor;          // of the input; filters may leave another
    std::vector<events::Parameters> filters;
    Readout readout;
    bool strict = false;
};

// One decision about one window.
struct Result {
    int64_t number = 0;
    int64_t t0_us = 0;
    int64_t t1_us = 0;
    int64_t events = 0;
    int64_t dropped = 0;
    Decision decision;
    Inference inference;     // empty for an idle window that the model did not see
    Stamp stamp;             // of the packet that closed the window
    int64_t closed_ns = 0;   // monotonic clock: the packet that completes the window was decoded (in the caller's
                             // thread: the window was seen to be complete),
    int64_t began_ns = 0;    // its encoding began,
    int64_t decided_ns = 0;  // the decision was there
};

int64_t monotonic_ns() noexcept;

class Chain {
  public:
    // Throws Error on options that cannot work. `decoder` may be null: then only events can be pushed.
    Chain(const ChainOptions& options, std::unique_ptr<events::Decoder> decoder,
          std::unique_ptr<encode::Encoder> encoder, std::unique_ptr<WindowModel> model);

    InputQueue& input() noexcept { return input_; }
    const WindowModel& model() const noexcept { return *model_; }
    // Events were dropped before the input: the next result says so.
    void lose(int64_t events) noexcept { cutter_.lose(events); }
    // The next decision, if the input so far holds one. An error of the stream comes after all decisions before it, and
    // stays.
    Status poll(Result& out, bool& ready) noexcept;
    // events_in = processed + sum of dropped.* + pending, at every moment.
    CounterMap counters() const;

    StateTensors save() const;               // throws the stream's error, where it has failed
    void load(const StateTensors& tensors);  // throws Error{model} and changes nothing then
    void reset();  // the model's states and the decision, as at the start; what comes in and the windows go on

  private:
    bool move_events();
    Status decide(const events::Window& window, Result& out);
    void load_stages(const StateTensors& tensors);
    void check_sections(const StateTensors& tensors) const;

    ChainOptions options_;
    InputQueue input_;
    FilterStage filters_;
    encode::Sensor sensor_;  // of what leaves the filters
    events::WindowCutter cutter_;
    std::unique_ptr<encode::Encoder> encoder_;
    encode::Encoded encoded_;
    std::unique_ptr<WindowModel> model_;
    Decide decide_;
    bool decodes_;
};

}  // namespace edgesnn::pipeline
