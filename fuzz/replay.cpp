// A fuzz target without a fuzzer: runs the files of the folders named, then so many inputs drawn from a fixed seed.
//   replay COUNT FOLDER...
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int64_t kLongest = 400;  // bytes of a drawn input

size_t replay(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        std::fprintf(stderr, "%s\n", path.c_str());  // the last one named is the one that ends the process
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    }
    return files.size();
}

void draw(uint64_t seed) {
    edgesnn::fuzz::Stream stream(seed);
    std::vector<uint8_t> bytes(static_cast<size_t>(stream.from(1, kLongest)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(stream.next());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s COUNT FOLDER...\n", argv[0]);
        return 2;
    }
    size_t files = 0;
    for (int i = 2; i < argc; ++i) files += replay(argv[i]);
    const auto count = static_cast<uint64_t>(std::atoll(argv[1]));
    for (uint64_t seed = 0; seed < count; ++seed) draw(seed);
    std::printf("%zu files and %llu drawn inputs\n", files, static_cast<unsigned long long>(count));
    return files == 0 ? 1 : 0;
}
