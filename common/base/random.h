// Randomness from the kernel, for names that must not be guessed or repeated.
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/bytes.h"

namespace dfs {

void fill_random(MutableBuffer buffer);
std::uint64_t random_number();
// `byte_count` random bytes as lower-case hex: twice as many characters.
std::string random_hex(std::size_t byte_count);

}  // namespace dfs
