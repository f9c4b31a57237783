#include "encode/array_encoder.hpp"

#include <utility>

namespace edgesnn::encode {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 28;

using Maker = std::unique_ptr<ArrayEncoder> (*)(const ArrayParameters&, Sensor);

const std::map<std::string, Maker>& makers() {
    static const std::map<std::string, Maker> all = {
        {"frames", make_frames}, {"points", make_points}, {"surface", make_surface}, {"voxel", make_voxel}};
    return all;
}

}  // namespace

ArrayEncoder::ArrayEncoder(std::vector<int64_t> shape, Element element) : shape_(std::move(shape)), element_(element) {
    int64_t product = 1;
    for (const int64_t size : shape_) {
        product *= size;
        if (product > kMostElements)
            throw Error(ErrorKind::usage, "the array is too large", "encoder", "more than 2^28 elements",
                        "at most 2^28 elements", "take fewer steps or bins, or put a downsample before it");
    }
}

int64_t ArrayEncoder::elements() const noexcept {
    int64_t product = 1;
    for (const int64_t size : shape_) product *= size;
    return product;
}

int64_t parameter(const ArrayParameters& parameters, const char* name, int64_t low, int64_t high) {
    const auto it = parameters.find(name);
    if (it == parameters.end()) throw Error(ErrorKind::usage, "the encoder's parameter is missing", name);
    if (it->second < low || it->second > high)
        throw Error(ErrorKind::usage, "the encoder's parameter is out of range", name, std::to_string(it->second),
                    std::to_string(low) + " to " + std::to_string(high));
    return it->second;
}

std::unique_ptr<ArrayEncoder> make_array_encoder(const std::string& name, const ArrayParameters& parameters,
                                                 Sensor sensor) {
    if (sensor.width < 1 || sensor.height < 1 || sensor.width > 65536 || sensor.height > 65536)
        throw Error(ErrorKind::usage, "not a sensor size", "sensor",
                    std::to_string(sensor.width) + "x" + std::to_string(sensor.height), "1x1 to 65536x65536");
    const auto it = makers().find(name);
    if (it == makers().end()) throw Error(ErrorKind::usage, "no such encoder", "encoder", name);
    return it->second(parameters, sensor);
}

}  // namespace edgesnn::encode
