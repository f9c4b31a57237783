// Bytes to a graph (spec_reader.hpp), which builds or is refused with Error{model}; one that builds is run.
#include "exercise.hpp"
#include "spec_reader.hpp"

using namespace edgesnn;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    executor::ModelSpec spec = fuzz::SpecReader(bytes).read();
    std::shared_ptr<const executor::Model> model;
    try {
        model = executor::Model::build(std::move(spec));
    } catch (const Error& error) {
        fuzz::must(error.status().kind == ErrorKind::model, "a wrong model is another kind of error");
        return 0;
    }
    fuzz::exercise(model, bytes);
    return 0;
}
