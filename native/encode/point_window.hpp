// One encoded window of points: the input of a "points" model. Integer geometry (docs/arithmetic.md, section 8).
// The Python twin is edgesnn.encode.points.PointWindow.
#pragma once

#include <cstdint>
#include <vector>

namespace edgesnn::encode {

struct PointWindow {
    int64_t number = 0;                // window number in the stream: part of the random counter
    int32_t points = 0;                // N
    int32_t groups = 0;                // G
    int32_t neighbours = 0;            // K
    std::vector<int32_t> coordinates;  // [N][4]: X, Y, T in [0, 16383], polarity 0 or 1
    std::vector<int32_t> centroids;    // [G]: indices into the points
    std::vector<int32_t> members;      // [G][K]: indices into the points, nearest first, the centroid included
    double sd = 0.0;                   // standard deviation of all G*K*3 differences, 0 if they are all equal
};

}  // namespace edgesnn::encode
