// Events as lines of text, for the columns of events/decode/csv_columns.hpp. docs/formats.md, "CSV and TXT".
#pragma once

#include <string>

#include "base/event.hpp"
#include "base/span.hpp"
#include "events/decode/csv_columns.hpp"

namespace edgesnn::events {

// Appends a line an event: integers between commas, LF behind; seconds with six, milliseconds with three decimals. A
// column that is left out stays empty. Times are below 2^60 us in absolute value.
void write_csv(Span<const Event> events, const CsvColumns& columns, std::string& out);

}  // namespace edgesnn::events
