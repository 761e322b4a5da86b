// How a storage server becomes part of the cluster.
#include <set>
#include <utility>

#include <fmt/format.h>

#include "common/base/address.h"
#include "common/base/log.h"
#include "server/meta/cluster/cluster.h"

namespace dfs {
namespace {

constexpr std::size_t kIdentityBytesMax = 128;
constexpr std::size_t kTextBytesMax = 1'024;
constexpr std::size_t kLabelsMax = 32;

Result<void> check_text(std::string_view what, const std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return {};
  return fail(Errc::invalid, fmt::format("the storage server's {} has {} bytes; {} are allowed",
                                         what, text.size(), bytes_max));
}

Result<void> check_texts(const RegisterArgs& args) {
  if (args.identity.empty())
    return fail(Errc::invalid, "the storage server has no identity");
  TRY(check_text("identity", args.identity, kIdentityBytesMax));
  TRY(check_text("address", args.address, kTextBytesMax));
  TRY(check_text("socket path", args.local_socket, kTextBytesMax));
  TRY(check_text("machine id", args.machine, kIdentityBytesMax));
  (void)TRY(parse_address(args.address));
  if (args.labels.size() > kLabelsMax)
    return fail(Errc::invalid, fmt::format("the storage server has {} labels; {} are allowed",
                                           args.labels.size(), kLabelsMax));
  for (const auto& [name, value] : args.labels) {
    TRY(check_text("label", name, kTextBytesMax));
    TRY(check_text("label", value, kTextBytesMax));
  }
  return {};
}

// Whether clients and planning would see no difference.
bool same_place(const ServerInfo& a, const ServerInfo& b) {
  return a.address == b.address && a.local_socket == b.local_socket && a.machine == b.machine &&
         a.labels == b.labels;
}

}  // namespace

Result<ServerId> Cluster::id_for(const RegisterArgs& args) const {
  const std::string& cluster = row_.record().cluster;
  if (!args.cluster.empty() && args.cluster != cluster)
    return fail(Errc::wrong_cluster,
                fmt::format("the storage server at {} belongs to cluster {}; this is cluster {}",
                            args.address, args.cluster, cluster));
  // A server whose first answer was lost asks again without its id.
  const Node* known = nodes_.find_identity(args.identity);
  if (args.server == ServerId{}) return known == nullptr ? ServerId{} : known->info.server;

  const Node* registered = nodes_.find(args.server);
  // Metadata that was made anew does not know who joined the lost one.
  const bool joined_before = row_.record().restored != 0 && known == nullptr && !args.cluster.empty() &&
                             args.server < row_.record().next_server;
  if (registered == nullptr && joined_before) return args.server;
  if (registered == nullptr)
    return fail(Errc::wrong_cluster,
                fmt::format("this cluster has no storage server {}", args.server.value()));
  if (registered->identity != args.identity)
    return fail(Errc::not_permitted,
                fmt::format("storage server {} is registered with another identity: the data at "
                            "{} is not what it had",
                            args.server.value(), args.address));
  return args.server;
}

Result<ServerId> Cluster::register_server(Transaction& txn, const RegisterArgs& args) {
  TRY(check_texts(args));
  ServerId server = TRY(id_for(args));
  const bool is_new = server == ServerId{};
  if (is_new && nodes_.all().size() >= options_.servers_max)
    return fail(Errc::overloaded, fmt::format("the cluster has {} storage servers, which is the "
                                              "limit of its settings",
                                              nodes_.all().size()));
  if (is_new) server = row_.next_server();

  ServerInfo info;
  info.server = server;
  info.address = args.address;
  info.local_socket = args.local_socket;
  info.machine = args.machine;
  info.labels = args.labels;
  info.capacity = args.capacity;
  info.available = args.available;
  const Node* before = nodes_.find(server);
  if (before != nullptr) info.chunks = before->info.chunks;
  if (before == nullptr || !before->info.alive || !same_place(before->info, info)) table_changed();
  if (before == nullptr || before->info.capacity != info.capacity ||
      !same_place(before->info, info)) {
    txn.put<tables::Servers>(server, {args.identity, args.address, args.local_socket, args.machine,
                                      args.labels, args.capacity,
                                      before != nullptr && before->draining});
  }
  log_info("cluster", "storage server {} {} at {}", server.value(),
           is_new ? "joins the cluster" : "registers again", info.address);
  pending_servers_.push_back({std::move(info), args.identity});

  std::set<std::uint32_t> pools{row_.record().replicas};
  for (const auto& [id, known] : groups_) pools.insert(known.replicas);
  for (const std::uint32_t replicas : pools) make_groups(txn, replicas);
  return server;
}

}  // namespace dfs
