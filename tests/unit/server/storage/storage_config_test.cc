#include "server/storage/storage_config.h"

#include <gtest/gtest.h>

namespace dfs::storage {
namespace {

StorageConfig valid() {
  StorageConfig config;
  config.data_directories = {"/data/one"};
  return config;
}

std::string complaint(const StorageConfig& config) {
  const auto checked = config.validate();
  return checked ? "" : checked.error().text;
}

TEST(StorageConfig, NamesTheFirstThingThatIsWrong) {
  EXPECT_EQ(complaint(valid()), "");
  StorageConfig config = valid();
  config.data_directories.clear();
  EXPECT_NE(complaint(config).find("--data"), std::string::npos);
  config = valid();
  config.data_directories.push_back("/data/./one");
  EXPECT_NE(complaint(config).find("twice"), std::string::npos);
  config = valid();
  config.meta_address = "nowhere";
  EXPECT_NE(complaint(config).find("meta"), std::string::npos);
  config = valid();
  config.listen_address = "0.0.0.0:7400";
  EXPECT_NE(complaint(config).find("--advertise"), std::string::npos);
  config.advertised_address = "storage-1:7400";
  EXPECT_EQ(complaint(config), "");
  config.segment_bytes = 1 * MiB;
  EXPECT_NE(complaint(config).find("segment_bytes"), std::string::npos);
}

TEST(StorageConfig, ReadsAFileAndRefusesKeysNobodyKnows) {
  StorageConfig config;
  auto file = ConfigFile::parse(
      "data = ['/data/one', '/data/two']\nlisten = '127.0.0.1:7411'\nreserve = '20GiB'\n"
      "labels = ['zone=a', 'rack=3']\n");
  ASSERT_TRUE(file);
  ASSERT_TRUE(read_config(*file, config));
  EXPECT_TRUE(file->finish());
  EXPECT_EQ(config.data_directories.size(), 2u);
  EXPECT_EQ(config.reserved_bytes, 20 * GiB);
  EXPECT_EQ(config.labels.at("rack"), "3");

  auto misspelt = ConfigFile::parse("lisen = '127.0.0.1:7411'\n");
  ASSERT_TRUE(misspelt);
  ASSERT_TRUE(read_config(*misspelt, config));
  EXPECT_FALSE(misspelt->finish());
}

TEST(StorageConfig, KnowsALabelWhenItSeesOne) {
  std::map<std::string, std::string> labels;
  EXPECT_TRUE(add_label("zone=a=b", labels));
  EXPECT_EQ(labels.at("zone"), "a=b");
  for (const char* text : {"zone", "=a", "zone=", ""}) EXPECT_FALSE(add_label(text, labels)) << text;
}

}  // namespace
}  // namespace dfs::storage
