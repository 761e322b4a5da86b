#include "fuse/adoption/mount_memory.h"

namespace dfs::fuse {

Result<MountMemory::Parts> MountMemory::find_parts(LastingMemory& memory) {
  Parts parts;
  const auto greeting = TRY(memory.part("greeting", Greeting::kLayout, sizeof(Greeting)));
  const auto session = TRY(memory.part("session", SessionMemo::kLayout, sizeof(SessionMemo)));
  const auto handles =
      TRY(memory.part("handles", HandleRecords::kLayout, HandleRecords::bytes()));
  const auto operations =
      TRY(memory.part("operations", OperationTable::kLayout, OperationTable::bytes()));
  const auto locks = TRY(memory.part("locks", LockMemo::kLayout, LockMemo::bytes()));
  parts.greeting = greeting.bytes;
  parts.session = session.bytes;
  parts.handles = handles.bytes;
  parts.operations = operations.bytes;
  parts.locks = locks.bytes;
  return parts;
}

MountMemory::MountMemory(const Parts& parts)
    : greeting_(reinterpret_cast<Greeting*>(parts.greeting.data())),
      session_(reinterpret_cast<SessionMemo*>(parts.session.data())),
      handles_(parts.handles),
      operations_(parts.operations),
      locks_(parts.locks) {}

Result<std::unique_ptr<MountMemory>> MountMemory::open(LastingMemory& memory) {
  const Parts parts = TRY(find_parts(memory));
  return std::unique_ptr<MountMemory>(new MountMemory(parts));
}

Result<std::unique_ptr<MountMemory>> MountMemory::create() {
  LastingMemory made = TRY(LastingMemory::create());
  auto own = std::make_unique<LastingMemory>(std::move(made));
  std::unique_ptr<MountMemory> memory = TRY(open(*own));
  memory->own_ = std::move(own);
  return memory;
}

}  // namespace dfs::fuse
