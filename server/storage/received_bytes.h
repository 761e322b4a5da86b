// The payload of a received frame, shared by everybody who still needs it:
// the disk and the links to other members. Counted until the last one is done.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/rpc/frame.h"
#include "server/storage/byte_budget.h"
#include "server/storage/record_reader.h"

namespace dfs::storage {

class ReceivedBytes {
 public:
  ReceivedBytes(FramePayload payload, std::shared_ptr<ByteBudget> budget)
      : payload_(std::move(payload)), charge_(std::move(budget), payload_.size()), parts_(payload_.parts()) {}
  // Bytes of a stored chunk that go the same way.
  ReceivedBytes(ChunkBytes chunk, std::shared_ptr<ByteBudget> budget)
      : chunk_(std::move(chunk)), charge_(std::move(budget), chunk_.bytes.size()), parts_{chunk_.bytes} {}
  ReceivedBytes(const ReceivedBytes&) = delete;
  ReceivedBytes& operator=(const ReceivedBytes&) = delete;

  const std::vector<BufferView>& parts() const { return parts_; }

 private:
  const FramePayload payload_;
  const ChunkBytes chunk_;
  const ByteBudget::Charge charge_;
  const std::vector<BufferView> parts_;
};

}  // namespace dfs::storage
