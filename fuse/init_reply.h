// What the mount asks of the kernel beyond what libfuse 3.14 asks for.
//
// libfuse parses FUSE_INIT and writes the answer; some flags it never sets,
// and says nothing. So the answer is edited on its way out: it is the reply
// whose `unique` is that of the FUSE_INIT request.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <sys/uio.h>

#include "common/base/bytes.h"
#include "fuse/kernel_abi.h"
#include "fuse/session_config.h"

namespace dfs::fuse {

class InitReplyEditor {
 public:
  explicit InitReplyEditor(KernelFeatures wanted) : wanted_(wanted) {}

  // To be shown every request read from the kernel until done(). True: it is FUSE_INIT.
  bool saw_request(BufferView request);
  // If `reply` answers the FUSE_INIT request seen, returns the answer to send
  // instead; nothing otherwise. Afterwards done().
  struct Edited {
    fuse_out_header header;
    fuse_init_out body;
  };
  std::optional<Edited> edit(std::span<const iovec> reply);

  bool done() const { return done_; }
  // What both sides agreed on; valid when done().
  std::uint64_t agreed() const { return agreed_; }
  std::uint64_t offered() const { return offered_; }
  std::uint32_t kernel_minor() const { return kernel_minor_; }

 private:
  const KernelFeatures wanted_;
  std::optional<std::uint64_t> unique_;
  std::uint64_t offered_ = 0;
  std::uint32_t kernel_minor_ = 0;
  std::uint64_t agreed_ = 0;
  bool done_ = false;
};

}  // namespace dfs::fuse
