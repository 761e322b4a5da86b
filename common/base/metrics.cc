#include "common/base/metrics.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "common/base/address.h"
#include "common/base/unique_fd.h"

namespace dfs {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void add(double amount) override { counter_.Increment(amount); }
  double value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void set(double value) override { gauge_.Set(value); }
  void add(double amount) override { gauge_.Increment(amount); }
  double value() const override { return gauge_.Value(); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

// The library throws when a name is malformed or already another kind of
// metric. Names are written in our sources, so that is our defect.
template <typename Metric, typename Builder>
prometheus::Family<Metric>& family_of(Builder builder, prometheus::Registry& registry,
                                      const std::string& name, const std::string& help) {
  try {
    return builder.Name(name).Help(help).Register(registry);
  } catch (const std::exception& error) {
    detail::invariant_broken("metric " + name + ": " + error.what(), std::source_location::current());
  }
}

template <typename Metric>
using Table = std::map<std::pair<std::string, Labels>, std::unique_ptr<Metric>>;

class PrometheusMetrics final : public Metrics {
 public:
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels) override {
    const std::lock_guard lock(mutex_);
    auto& slot = counters_[{name, labels}];
    if (!slot) {
      auto& family = family_of<prometheus::Counter>(prometheus::BuildCounter(), *registry_, name, help);
      slot = std::make_unique<PrometheusCounter>(family.Add(labels));
    }
    return *slot;
  }

  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) override {
    const std::lock_guard lock(mutex_);
    auto& slot = gauges_[{name, labels}];
    if (!slot) {
      auto& family = family_of<prometheus::Gauge>(prometheus::BuildGauge(), *registry_, name, help);
      slot = std::make_unique<PrometheusGauge>(family.Add(labels));
    }
    return *slot;
  }

  Histogram& histogram(const std::string& name, const std::string& help,
                       const std::vector<double>& buckets, const Labels& labels) override {
    const std::lock_guard lock(mutex_);
    auto& slot = histograms_[{name, labels}];
    if (!slot) {
      auto& family = family_of<prometheus::Histogram>(prometheus::BuildHistogram(), *registry_, name, help);
      slot = std::make_unique<PrometheusHistogram>(family.Add(labels, buckets));
    }
    return *slot;
  }

  std::string text() const override {
    return prometheus::TextSerializer().Serialize(registry_->Collect());
  }

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  std::mutex mutex_;
  Table<Counter> counters_;
  Table<Gauge> gauges_;
  Table<Histogram> histograms_;
};

// Never destroyed: threads that end late may still count.
PrometheusMetrics& instance() {
  static PrometheusMetrics& metrics = *new PrometheusMetrics;
  return metrics;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

// Null, and `error` set, if the host cannot be resolved.
Addresses resolve(const Address& address, int& error) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  error = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &found);
  return {error == 0 ? found : nullptr, &::freeaddrinfo};
}

UniqueFd socket_for(const addrinfo& address) {
  return UniqueFd(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol));
}

// Why nobody can listen on `address`: the web server's library does not say.
Error why_not(const Address& address) {
  const std::string doing = "serving metrics on " + address.to_string();
  int error = 0;
  const Addresses found = resolve(address, error);
  if (!found) return Error{Errc::invalid, doing + ": " + ::gai_strerror(error)};
  const UniqueFd probe = socket_for(*found);
  const int on = 1;
  if (!probe || ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(probe.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(probe.get(), 1) != 0)
    return fail_errno(errno, doing).value();
  return Error{Errc::io, doing + " failed"};
}

// Connects to a listener again and again until destroyed. The web server's
// accepting thread looks only every two seconds whether it shall stop; a
// connection makes it look at once.
class Waker {
 public:
  explicit Waker(const Address& address) : thread_([this, address] { run(address); }) {}
  ~Waker() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

 private:
  void run(const Address& address) {
    int error = 0;
    const Addresses found = resolve(address, error);
    std::unique_lock lock(mutex_);
    while (found && !done_) {
      const UniqueFd socket = socket_for(*found);
      // Refused once the listener is closed; nothing to do about it then.
      if (socket) (void)::connect(socket.get(), found->ai_addr, found->ai_addrlen);
      wake_.wait_for(lock, std::chrono::milliseconds(5), [this] { return done_; });
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

class PrometheusServer final : public MetricsServer {
 public:
  explicit PrometheusServer(const Address& address)
      : address_(address), exposer_(std::make_unique<prometheus::Exposer>(address.to_string(), 1)) {
    exposer_->RegisterCollectable(instance().registry());
    address_.port = static_cast<std::uint16_t>(exposer_->GetListeningPorts().at(0));
  }
  ~PrometheusServer() override {
    const Waker waker(address_);
    exposer_.reset();
  }
  int port() const override { return address_.port; }

 private:
  Address address_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace

Metrics& metrics() { return instance(); }

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& address) {
  const Address parsed = TRY(parse_address(address, AddressUse::listen));
  if (parsed.is_unix()) return fail(Errc::invalid, "metrics are served over TCP, not on " + address);
  try {
    return std::make_unique<PrometheusServer>(parsed);
  } catch (const std::exception&) {
    return fail(why_not(parsed));
  }
}

}  // namespace dfs
