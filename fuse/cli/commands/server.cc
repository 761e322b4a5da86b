// dfs server: what is to become of a storage server.
#include <cstdint>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/rpc/meta_client.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

struct ServerOptions {
  ConnectOptions connect;
  std::uint32_t server = 0;
};

Result<void> drain(const ServerOptions& options, bool wanted) {
  const auto connection = TRY(Connection::open(options.connect));
  const DrainServerArgs args{ServerId{options.server}, wanted};
  TRY(call_for<EmptyResult>(connection->meta(), args, connection->context().caller, nullptr));
  print_line(wanted ? fmt::format("server {} is being drained; `dfs status` shows how far it is",
                                  options.server)
                    : fmt::format("server {} is not drained any more", options.server));
  return {};
}

void add_one(CLI::App& parent, Choice& choice, const char* name, const char* help, bool wanted) {
  const auto options = std::make_shared<ServerOptions>();
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("ID", options->server, "Its number in `dfs status`")->required();
  add_connect_options(*command, options->connect);
  add_examples(*command, fmt::format("  dfs server {} 3", name));
  command->callback(
      [options, wanted, &choice] { choice.set([options, wanted] { return drain(*options, wanted); }); });
}

}  // namespace

void add_server_command(CLI::App& parent, Choice& choice) {
  CLI::App* server = parent.add_subcommand("server", "Take a storage server out of use, or back");
  server->require_subcommand(1);
  add_examples(*server, "  dfs server drain 3\n  dfs server undrain 3");
  add_one(*server, choice, "drain",
          "Move everything that it has to others; it is read from until then", true);
  add_one(*server, choice, "undrain", "Use it for new data again", false);
}

}  // namespace dfs::cli
