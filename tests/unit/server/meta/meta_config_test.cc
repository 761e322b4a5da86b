#include "server/meta/meta_config.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

using namespace std::chrono_literals;

MetaConfig usable() {
  MetaConfig config;
  config.data_directory = "/somewhere";
  return config;
}
Result<MetaConfig> from_text(std::string_view text) {
  MetaConfig config;
  ConfigFile file = TRY(ConfigFile::parse(text));
  TRY(config.read(file));
  TRY(file.finish());
  return config;
}

TEST(MetaConfig, ItsDefaultsAreUsableOnceThereIsADirectory) {
  EXPECT_TRUE(usable().validate());
  EXPECT_FALSE(MetaConfig{}.validate());
}

TEST(MetaConfig, ReadsWhatAFileSets) {
  const auto config = from_text(
      "data = \"/data\"\nlisten = \"0.0.0.0:7300\"\nreplicas = 2\nchunk_size = \"4MiB\"\n"
      "session_timeout_ms = 5000\nreserve = \"64MiB\"\nlease_time_ms = 3000\n"
      "leases_max = 5000\nlease_waits_max = 100\n");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->data_directory, "/data");
  EXPECT_EQ(config->listen_address, "0.0.0.0:7300");
  EXPECT_EQ(config->replicas, 2u);
  EXPECT_EQ(config->chunk_size, 4 * MiB);
  EXPECT_EQ(config->session_timeout, 5s);
  EXPECT_EQ(config->reserved_bytes, 64 * MiB);
  EXPECT_EQ(config->lease_time, 3s);
  EXPECT_EQ(config->leases_max, 5'000u);
  EXPECT_EQ(config->lease_waits_max, 100u);
}

TEST(MetaConfig, RefusesAKeyThatItDoesNotKnow) {
  EXPECT_FALSE(from_text("replica = 2\n"));
}

TEST(MetaConfig, RefusesWhatIsOutOfRange) {
  EXPECT_FALSE(from_text("replicas = 17\n"));
  MetaConfig config = usable();
  config.replicas = 0;
  EXPECT_FALSE(config.validate());
  config = usable();
  config.chunk_size = 100 * KiB;
  EXPECT_FALSE(config.validate()) << "no multiple of a block";
  config.chunk_size = 128 * MiB;
  EXPECT_FALSE(config.validate());
  config = usable();
  config.listen_address = "nowhere";
  EXPECT_FALSE(config.validate());
  config = usable();
  config.reserved_bytes = 0;
  EXPECT_FALSE(config.validate()) << "deletions need room";
  EXPECT_FALSE(from_text("reserve = \"2TiB\"\n"));
  config = usable();
  config.leases_max = 262'144;
  EXPECT_FALSE(config.validate()) << "a hello could not list them";
}

TEST(MetaConfig, RefusesASilenceShorterThanTwoHeartbeats) {
  MetaConfig config = usable();
  config.heartbeat_interval = 3s;
  config.server_silence_max = 5s;
  EXPECT_FALSE(config.validate());
}

}  // namespace
}  // namespace dfs
