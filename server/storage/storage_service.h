// The doors of dfs.v1.StorageService: Put, Get, Sync, Stat, Identify. They
// unpack, hand over and answer.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/rpc/stream_server.h"
#include "server/storage/membership.h"
#include "server/storage/service_context.h"

namespace dfs::storage {

class StorageService {
 public:
  // Nothing until the server is registered: then nobody is served yet.
  using MembershipSource = std::function<std::optional<Membership>()>;

  // `context` must outlive the server that these are given to, and this too.
  StorageService(ServiceContext& context, MembershipSource membership);

  std::map<std::string, StreamServer::Factory> streams();
  std::map<std::string, UnaryMethod> unary();

 private:
  void sync(grpc::ByteBuffer bytes, UnaryReply reply);

  ServiceContext& context_;
  const MembershipSource membership_;
};

}  // namespace dfs::storage
