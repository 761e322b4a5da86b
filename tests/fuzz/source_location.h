// std::source_location for clang 14, whose compiler lacks what libstdc++ makes it
// of. Included before everything else (CMakeLists.txt); newer compilers bring it.
//
// It looks in memory as GCC's does, for it is handed to code that GCC compiled.
#pragma once

#include <source_location>

#ifndef __cpp_lib_source_location
namespace std {

struct source_location {
  static source_location current(const char* file = __builtin_FILE(),
                                 const char* function = __builtin_FUNCTION(),
                                 unsigned line = __builtin_LINE()) noexcept {
    // A place is looked at while the call it was made for goes on.
    constexpr unsigned kPlaces = 16;
    thread_local Place places[kPlaces];
    thread_local unsigned next = 0;
    source_location here;
    here.place_ = &places[next++ % kPlaces];
    *here.place_ = {file, function, line, 0};
    return here;
  }
  const char* file_name() const noexcept { return place_->file; }
  const char* function_name() const noexcept { return place_->function; }
  unsigned line() const noexcept { return place_->line; }
  unsigned column() const noexcept { return place_->column; }

 private:
  struct Place {
    const char* file;
    const char* function;
    unsigned line;
    unsigned column;
  };
  Place* place_ = nullptr;
};

}  // namespace std
#endif
