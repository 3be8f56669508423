// A CUDA device for a torch without CUDA: its memory is the host's, its kernels are the CPU's. See the README.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include "kernels.h"

namespace stand_in {
namespace {

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device device) const override {
    auto before = here();
    setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return here(); }
  void setDevice(c10::Device device) const override {
    check_device(device.index());
    current_device = device.index();
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override { current_device = device.index(); }
  c10::DeviceIndex deviceCount() const noexcept override { return num_devices; }

  c10::Stream stream(c10::Device device, c10::StreamId id) const { return c10::Stream(c10::Stream::UNSAFE, here(device), id); }
  c10::Stream getStream(c10::Device device) const override { return stream(device, key_of(here(device)).second); }
  c10::Stream getDefaultStream(c10::Device device) const override { return stream(device, 0); }
  c10::Stream getNewStream(c10::Device device, int) const override {
    static std::atomic<int64_t> newest{0};
    return stream(device, ++newest);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return getNewStream(device, 0); }
  c10::Stream exchangeStream(c10::Stream next) const override {
    auto before = getStream(next.device());
    current_stream[next.device_index()] = next.id();
    return before;
  }
  bool isStreamCapturing(const c10::Stream& stream) const override { return captured_on(key(stream)); }
  void synchronizeStream(const c10::Stream& stream) const override {
    wait("stream.synchronize", clock_of(key(stream)), captured_on(key(stream)));
  }
  bool queryStream(const c10::Stream& stream) const override {
    Locked lock(world);
    refuse_wait("the query of a stream");
    return streams[key(stream)].settled >= streams[key(stream)].last;
  }
  void synchronizeDevice(const c10::DeviceIndex device) const override {
    Locked lock(world);
    Clock all;
    for (auto& [stream, state] : streams)
      if (stream.first == device) merge(all, clock_of(stream));
    wait("device.synchronize", all, capturing);
  }

  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex, const c10::EventFlag flag) const override {
    Locked lock(world);
    if (!*event) *event = new Event;
    auto& recorded = *static_cast<Event*>(*event);
    ++streams[key(stream)].last;
    const bool is_timed = flag == c10::EventFlag::BACKEND_DEFAULT, is_captured = captured_on(key(stream)) != nullptr;
    recorded = {clock_of(key(stream)), true, is_captured, is_timed, 0, streams[key(stream)].kernels, std::chrono::steady_clock::now()};
  }
  void block(void* event, const c10::Stream& stream) const override {
    Locked lock(world);
    count(Count::event_waits);
    auto* waited = static_cast<Event*>(event);
    if (!waited || !waited->is_recorded) return;
    auto* graph = captured_on(key(stream));
    if (graph && !waited->is_captured) refuse(graph, "a wait for an event from outside");
    if (waited->is_captured && capturing) capturing->streams.insert(key(stream));
    merge(streams[key(stream)].before, waited->clock);
  }
  bool queryEvent(void* event) const override {
    Locked lock(world);
    count(Count::event_queries);
    auto* asked = static_cast<Event*>(event);
    refuse_wait("the query of an event");
    if (!asked || !asked->is_recorded || has_happened(*asked)) return true;
    if (asked->asked++ < patience) return false;
    wait_for(asked->clock);
    return true;
  }
  void synchronizeEvent(void* event) const override {
    auto* waited = static_cast<Event*>(event);
    if (waited && waited->is_recorded) wait("event.synchronize", waited->clock, waited->is_captured ? capturing : nullptr);
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<Event*>(event); }
  void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream& stream) const override {
    Locked lock(world);
    if (data.get_deleter() == &release_block) (*static_cast<BlockPtr*>(data.get_context()))->recorded.insert(key(stream));
  }

 private:
  static Key key(const c10::Stream& stream) { return {stream.device_index(), stream.id()}; }
  static void wait(const std::string& what, const Clock& clock, Graph* graph) {
    Locked lock(world);
    if (graph) refuse(graph, what);
    refuse_wait(what);
    count(Count::syncs, what);
    OnCPU guard;
    wait_for(clock);
  }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

// torch looks for hooks of this name.
struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex current_device() const override { return stand_in::current_device; }
  c10::DeviceIndex getCurrentDevice() const override { return stand_in::current_device; }
  c10::DeviceIndex deviceCount() const override { return num_devices; }
  int getNumGPUs() const override { return num_devices; }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  at::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  c10::Device getDeviceFromPtr(void*) const override { return here(); }
};
using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks)

c10::Dict<std::string, int64_t> counted() {
  Locked lock(world);
  c10::Dict<std::string, int64_t> all;
  for (int i = 0; i < kNumCounts; i++) all.insert(kCountNames[i], numbers[i].load());
  for (auto& [name, number] : by_name) all.insert(name, number);
  return all;
}
size_t set_limit = SIZE_MAX;
void set_up(int64_t devices, int64_t bytes, const std::string& path) {
  num_devices = devices;
  for (auto& each : memory) each.limit = bytes;
  set_limit = bytes;
  if (!path.empty()) count_into_file(path);
}
void set_device(int64_t device) {
  check_device(device);
  current_device = device;
}
std::tuple<int64_t, int64_t, int64_t> memory_of(int64_t device) {
  check_device(device);
  return {memory[device].in_use, memory[device].peak, memory[device].limit};
}
// As after a start, for the next test of a process; memory and counts stay.
void reset() {
  Locked lock(world);
  for (auto& [stream, state] : streams) state.copies.clear(), state.settled = state.last;
  capturing = nullptr, latched = {}, patience = 1, pace = 0, refusal = 0, current_device = 0;
  for (auto& stream : current_stream) stream = 0;
  for (auto& each : memory) each.limit = set_limit;
}
void capture(int64_t id, int64_t pool, bool is_global) { begin_capture(id, pool, is_global, key_of(here())); }
// Milliseconds between two events, by their addresses. (torch.Event.elapsed_time takes no subclass, as the double is.)
double elapsed(int64_t first, int64_t second) {
  Locked lock(world);
  auto *from = reinterpret_cast<Event*>(first), *to = reinterpret_cast<Event*>(second);
  if (!from || !to || !from->is_timed || !to->is_timed) raise(kInvalidHandle, "invalid resource handle (an event without timing)");
  if (!has_happened(*from) || !has_happened(*to)) raise(kNotReady, "device not ready (an event has not happened yet)");
  if (pace) return (to->kernels - from->kernels) * pace / 1e3;
  return std::chrono::duration<double, std::milli>(to->time - from->time).count();
}
void drop_graph(int64_t id) {
  Locked lock(world);
  if (graphs.count(id) && capturing != &graphs[id]) graphs.erase(id);
}

}  // namespace
}  // namespace stand_in

using namespace stand_in;

TORCH_LIBRARY(stand_in_gpu, m) {
  m.def("set_up", &set_up);
  m.def("reset", &reset);
  m.def("counted", &counted);
  m.def("set_device", &set_device);
  m.def("current_device() -> int", [] { return int64_t(current_device); });
  m.def("current_stream(int device) -> int", [](int64_t device) { return int64_t(current_stream[device]); });
  m.def("memory_of", &memory_of);
  m.def("forget_peak(int device) -> ()", [](int64_t device) { memory[device].peak = memory[device].in_use; });
  m.def("limit_memory(int device, int size) -> ()", [](int64_t device, int64_t size) { memory[device].limit = size; });
  m.def("set_patience(int times) -> ()", [](int64_t times) { patience = times; });
  m.def("elapsed", &elapsed);
  m.def("set_pace(int microseconds) -> ()", [](int64_t microseconds) { pace = microseconds; });
  m.def("refuse_registration(int code) -> ()", [](int64_t code) { refusal = code; });
  m.def("register(int start, int size) -> int", [](int64_t a, int64_t n) { return int64_t(register_memory(a, n)); });
  m.def("unregister(int start) -> int", [](int64_t start) { return int64_t(unregister_memory(start)); });
  m.def("capture", &capture);
  m.def("end_capture(int graph) -> ()", [](int64_t id) { end_capture(id); });
  m.def("replay(int graph) -> ()", [](int64_t id) { OnCPU guard; replay(id, key_of(here())); });
  m.def("drop_graph", &drop_graph);
  m.def("nodes(int graph) -> int", [](int64_t id) { return int64_t(graphs.at(id).nodes.size()); });
  m.def("is_capturing() -> bool", [] { return captured_on(key_of(here())) != nullptr; });
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &stand_in::empty_strided);
  m.impl("as_strided", &stand_in::as_strided);
  m.impl("unfold", &stand_in::unfold);
  m.impl("view", &stand_in::view);
  m.impl("set_.source_Storage_storage_offset", &set_storage);
  m.impl("resize_", &resize_);
  m.impl("copy_", &copy_);
  m.impl("_local_scalar_dense", &item);
  m.impl("record_stream", &record_stream);
  // What torch would otherwise take apart before it asks the device.
  for (auto* name : {"convolution", "convolution_backward"}) m.impl(name, torch::CppFunction::makeFromBoxedFunction<&run>());
  for (auto& op : c10::Dispatcher::singleton().getAllOpNames())
    if (op.name.rfind("aten::_foreach_", 0) == 0)
      m.impl((op.name + (op.overload_name.empty() ? "" : "." + op.overload_name)).c_str(),
             torch::CppFunction::makeFromBoxedFunction<&run>());
}
TORCH_LIBRARY_IMPL(aten, CPU, m) {
  m.impl("_thnn_fused_lstm_cell", &lstm_cell);
  m.impl("_thnn_fused_lstm_cell_backward_impl", &lstm_cell_backward);
}
