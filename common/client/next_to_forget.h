// Which entry of a full hash table goes: the next one around its buckets. (The
// first one that iterating yields is often the one that came last.)
#pragma once

#include <cstddef>

namespace dfs {

// Erases one entry of `table`, which is not empty. `hand` is where the table was
// looked at last, and goes on from there.
template <typename Table>
void forget_next(Table& table, std::size_t& hand) {
  for (;;) {
    hand = (hand + 1) % table.bucket_count();
    const auto first = table.begin(hand);
    if (first == table.end(hand)) continue;
    table.erase(table.find(first->first));
    return;
  }
}

}  // namespace dfs
