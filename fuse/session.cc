#include "fuse/session.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <optional>

#include "common/base/log.h"
#include "fuse/device.h"
#include "fuse/device_cache.h"
#include "fuse/init_reply.h"
#include "fuse/lock_waits.h"
#include "fuse/notification.h"
#include "fuse/operations.h"
#include "fuse/request_hints.h"
#include "fuse/session_state.h"
#include "fuse/worker_pool.h"

namespace dfs::fuse {
namespace {

struct SessionDeleter {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};

void to_our_log(fuse_log_level level, const char* format, va_list arguments) {
  std::array<char, 512> line;
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string_view text(line.data());
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (level <= FUSE_LOG_ERR) {
    dfs::log_error("fuse", "libfuse: {}", text);
  } else {
    dfs::log_debug("fuse", "libfuse: {}", text);
  }
}

class KernelSession final : public Session, private SessionState {
 public:
  KernelSession(const SessionConfig& session_config, Device device, FileSystem& file_system,
                const Clock& steady, MountMemory& mount_memory)
      : SessionState(session_config, file_system, steady, mount_memory),
        device_(std::move(device)),
        editor_(config.features),
        notifier_(device_, config.notifications_max),
        workers_(
            {
                .threads_min = config.threads_min,
                .limits = {config.threads_max, config.backlog_max, config.backlog_bytes_max},
                .idle_max = config.thread_idle,
                .spin = config.spin,
                .keep_awake = config.keep_awake,
                .names_are_known = config.names_are_known,
            },
            device_, [this](MutableBuffer request) { serve(request); },
            [this](BufferView request) { watch_for_repeats(request); }) {
    forget_attributes = [this](InodeId inode) {
      // Where too much is to be forgotten already, they are when they are old.
      static_cast<void>(notifier_.invalidate_attributes(inode));
    };
    lock_waits = std::make_shared<LockWaits>(notifier_);
  }

  ~KernelSession() override {
    workers_.stop();
    workers_.wait();
    files.set_kernel(nullptr);
    lock_waits->close();
    for (auto& handle : open_files.take_all()) files.close(std::move(handle->file));
  }

  Result<void> open() {
    fuse_set_log_func(to_our_log);
    std::array<char*, 1> argv{const_cast<char*>("dfs-mount")};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv.data());
    fuse_lowlevel_ops table = operations();
    table.init = [](void* userdata, fuse_conn_info* connection) {
      static_cast<KernelSession*>(static_cast<SessionState*>(userdata))->negotiate(*connection);
    };
    session_.reset(fuse_session_new(&arguments, &table, sizeof table,
                                    static_cast<SessionState*>(this)));
    if (!session_) return fail(Errc::internal, "libfuse refused to make a session");

    fuse_custom_io io{};
    io.writev = [](int, iovec* parts, int count, void* userdata) {
      return static_cast<KernelSession*>(static_cast<SessionState*>(userdata))
          ->send({parts, static_cast<std::size_t>(count)});
    };
    // Required, and never called: the workers read, and hand over what they read.
    io.read = [](int, void*, std::size_t, void*) -> ssize_t {
      errno = ENOSYS;
      return -1;
    };
    // libfuse closes this one when it is done; it writes through ours.
    UniqueFd theirs(::fcntl(device_.descriptor(), F_DUPFD_CLOEXEC, 0));
    if (!theirs) return fail_errno(errno, "fcntl");
    if (fuse_session_custom_io(session_.get(), &io, theirs.get()) != 0) {
      return fail(Errc::internal, "libfuse refused the connection");
    }
    theirs.release();
    // A kernel that could not be made to forget would show what is old.
    to_tell_ = UniqueFd(::fcntl(device_.descriptor(), F_DUPFD_CLOEXEC, 0));
    if (!to_tell_) return fail_errno(errno, "fcntl");
    return {};
  }

  // What the kernel and the former process said to each other is said again here, and
  // goes no further; what was open is opened again.
  Result<void> go_on() {
    Greeting& greeting = memory.greeting();
    const std::uint64_t agreed = greeting.agreed_flags;
    std::array<std::byte, Greeting::kBytesMax> request = greeting.request;
    serve(MutableBuffer(request).first(greeting.bytes));
    if (!introduced_) return fail(Errc::internal, "the kernel's first request is not understood");
    if (agreed_flags != agreed)
      log_warn("fuse", "the former process had agreed on {:#x} with the kernel, not on {:#x}",
               agreed, agreed_flags.load());
    agreed_flags = greeting.agreed_flags = agreed;
    reopen_all(*this);
    awaits_repeats_ = true;
    return {};
  }

  void start() override {
    // In this order: what comes again comes before anything else.
    if (awaits_repeats_) notify_resend(device_.descriptor());
    workers_.start();
  }
  void wait() override { workers_.wait(); }
  void stop() override { workers_.stop(); }
  void interrupt_all() override {
    in_flight.interrupt_all();
    lock_waits->end_all();
  }
  Notifier& notifier() override { return notifier_; }

  Facts facts() const override {
    Facts facts;
    facts.threads = workers_.threads();
    facts.busy = workers_.busy();
    const std::lock_guard lock(editor_mutex_);
    facts.agreed_flags = agreed_flags.load(std::memory_order_relaxed);
    facts.kernel_minor = editor_.kernel_minor();
    facts.can_resend = (editor_.offered() & kernel::kHasResend) != 0;
    return facts;
  }

 private:
  // Answers FUSE_INIT together with the editor, which adds what libfuse cannot.
  void negotiate(fuse_conn_info& connection) {
    const auto ask = [&](unsigned capability) {
      connection.want |= capability & connection.capable;
    };
    connection.want &= ~static_cast<unsigned>(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
                                              FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    if (!config.features.asynchronous_direct_io) {
      connection.want &= ~static_cast<unsigned>(FUSE_CAP_ASYNC_DIO);
    }
    // Under leases the kernel is told when its pages are old. By itself it would
    // drop them when a write of its own changes the time of the last change, and
    // fill them again from before that write. Not EXPLICIT_INVAL_DATA in its place:
    // whoever is told of another size cuts the pages there, maybe late, when the file
    // has grown once more; without the flag they are dropped after that.
    if (config.names_are_known) {
      connection.want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
    }
    ask(FUSE_CAP_EXPORT_SUPPORT);  // the engine looks up "." and ".."
    ask(FUSE_CAP_CACHE_SYMLINKS);  // a link's target never changes
    connection.max_write = kRequestBytesMax;
    connection.max_background = config.background_max;
    connection.congestion_threshold = config.background_max * 3 / 4;
    connection.time_gran = 1;
  }

  // Before the first answer that it could keep.
  void meet_kernel() {
    const bool has_epochs = editor_.kernel_minor() >= kernel::kMinorWithIncrementEpoch;
    forgets_names = has_epochs;
    files.set_kernel(std::make_shared<DeviceCache>(std::move(to_tell_), has_epochs));
  }

  void serve(MutableBuffer request) {
    if (!introduced_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(editor_mutex_);
      if (editor_.saw_request(request)) greeting_ = request;
    }
    const std::uint64_t agreed = agreed_flags.load(std::memory_order_relaxed);
    set_current_hints(hints_of(request, agreed));
    const MutableBuffer readable = as_libfuse_reads(request, agreed);
    fuse_buf buffer{};
    buffer.size = readable.size();
    buffer.mem = readable.data();
    fuse_session_process_buf(session_.get(), &buffer);
  }

  ssize_t send(std::span<const iovec> parts) {
    workers_.about_to_reply();
    if (introduced_.load(std::memory_order_acquire)) return device_.write(parts);

    const auto edited = edit(parts);
    if (edited && memory.has_former()) return static_cast<ssize_t>(edited->header.len);
    if (edited) remember_greeting();
    if (!edited) return device_.write(parts);
    const std::array<iovec, 2> answer{
        iovec{const_cast<fuse_out_header*>(&edited->header), sizeof edited->header},
        iovec{const_cast<fuse_init_out*>(&edited->body), sizeof edited->body}};
    return device_.write(answer);
  }

  // Before the kernel has the answer, after which it asks for more.
  void remember_greeting() {
    Greeting& greeting = memory.greeting();
    if (greeting_.size() > greeting.request.size()) return;
    greeting.agreed_flags = agreed_flags;
    std::copy(greeting_.begin(), greeting_.end(), greeting.request.begin());
    std::atomic_signal_fence(std::memory_order_seq_cst);
    greeting.bytes = static_cast<std::uint32_t>(greeting_.size());
  }

  // By one thread at a time, in the order in which requests are read. Those that come
  // again come first; whoever has not asked again by then has been answered, or has gone.
  void watch_for_repeats(BufferView request) {
    if (!awaits_repeats_.load(std::memory_order_relaxed)) return;
    fuse_in_header header{};
    if (!request.empty()) std::memcpy(&header, request.data(), sizeof header);
    const bool has_its_own_queue = header.opcode == FUSE_INTERRUPT ||
                                   header.opcode == FUSE_FORGET ||
                                   header.opcode == FUSE_BATCH_FORGET;
    if (has_its_own_queue) return;
    OperationTable& operations = memory.operations();
    if ((header.unique & kernel::kUniqueResend) != 0)
      return operations.begin(header.unique & ~kernel::kUniqueResend);
    awaits_repeats_ = false;
    operations.end_abandoned();
    files.repeats_are_over([&](std::uint64_t number) { return operations.is_running(number); });
  }

  std::optional<InitReplyEditor::Edited> edit(std::span<const iovec> parts) {
    const std::lock_guard lock(editor_mutex_);
    auto edited = editor_.edit(parts);
    if (editor_.done()) {
      agreed_flags.store(editor_.agreed(), std::memory_order_relaxed);
      meet_kernel();
      introduced_.store(true, std::memory_order_release);
    }
    return edited;
  }

  Device device_;
  UniqueFd to_tell_;  // for notifications, until the kernel is met
  mutable std::mutex editor_mutex_;
  InitReplyEditor editor_;  // under editor_mutex_
  std::atomic<bool> introduced_{false};
  BufferView greeting_;  // the kernel's first request, while it is served
  std::atomic<bool> awaits_repeats_{false};
  std::unique_ptr<fuse_session, SessionDeleter> session_;
  Notifier notifier_;
  WorkerPool workers_;
};

}  // namespace

Result<std::unique_ptr<Session>> Session::create(const SessionConfig& config, UniqueFd device,
                                                 FileSystem& files, const Clock& clock,
                                                 MountMemory& memory) {
  TRY(config.validate());
  Device connection = TRY(Device::attach(std::move(device)));
  auto session =
      std::make_unique<KernelSession>(config, std::move(connection), files, clock, memory);
  TRY(session->open());
  if (memory.has_former()) TRY(session->go_on());
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace dfs::fuse
