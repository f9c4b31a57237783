#include "events/decode/decoder.hpp"
