// Counters, gauges and histograms, served to Prometheus.
//
//   auto& puts = metrics().counter("dfs_storage_puts_total", "Chunks stored.");
//   puts.add();
//
// A metric is found by its name and labels and lives as long as the process;
// take the reference once and keep it. Updating is lock-free. Built on
// prometheus-cpp, whose types stay in metrics.cc.
// Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace dfs {

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) = 0;
  virtual double value() const = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
  virtual void add(double amount) = 0;
  virtual double value() const = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe(double value) = 0;
};

using Labels = std::map<std::string, std::string>;

class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual Counter& counter(const std::string& name, const std::string& help,
                           const Labels& labels = {}) = 0;
  virtual Gauge& gauge(const std::string& name, const std::string& help,
                       const Labels& labels = {}) = 0;
  // Buckets are upper bounds, ascending.
  virtual Histogram& histogram(const std::string& name, const std::string& help,
                               const std::vector<double>& buckets, const Labels& labels = {}) = 0;
  // All of it in the text exposition format.
  virtual std::string text() const = 0;
};

// The process's registry.
Metrics& metrics();

// Serves metrics() over HTTP at http://ADDRESS/metrics until destroyed.
class MetricsServer {
 public:
  // `address` is host:port; port 0 lets the kernel choose. The error names
  // the address and what is wrong with it, such as a port in use.
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address);
  virtual ~MetricsServer() = default;
  virtual int port() const = 0;
};

}  // namespace dfs
