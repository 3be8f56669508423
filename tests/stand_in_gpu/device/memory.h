// Memory of the devices, which is the host's, with a limit; and memory of the host that is pinned.
//
// A block is the memory of one storage. A CPU alias of a tensor shares its block, so memory outlives the tensor as
// long as work on it is recorded, and `released` says that the tensor itself is gone.
//
// A block knows which work of which stream has read it, and which has written it last. Work of another stream that has
// not waited for these raises an error, whatever it would have read: on a GPU it might be right by chance. Two streams
// that write different rows of one block at once are also refused.
#pragma once
#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include "timeline.h"

namespace stand_in {

constexpr int kMaxDevices = 8;
// CUDA's numbers; it has none for the last two, which on a GPU show as wrong results.
constexpr int kInvalidValue = 1, kInvalidDevice = 101, kInvalidHandle = 400, kNotReady = 600, kAlreadyRegistered = 712,
              kNotRegistered = 713, kCapturing = 900;
constexpr int kFreedInUse = -1, kUnordered = -2;

[[noreturn]] inline void raise(int code, const std::string& text) {
  throw c10::AcceleratorError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, code, "CUDA error: " + text);
}
struct Memory {
  size_t in_use = 0, peak = 0, limit = SIZE_MAX;
};
inline Memory (&memory)[kMaxDevices] = *new Memory[1][kMaxDevices];

struct Block {
  void* data;
  size_t size;
  c10::Device device;
  Key stream;                     // that it was allocated on
  Clock read = {}, written = {};  // by the newest work of each stream that did
  std::set<Key> recorded = {};    // with record_stream
  at::Tensor of_cpu = {};         // the CPU's tensor that it is, if a CPU kernel made it
  bool released = false, in_pool = false;

  Block(void* data, size_t size, c10::Device device, Key stream) : data(data), size(size), device(device), stream(stream) {
    auto& all = memory[device.index()];
    all.in_use += size;
    all.peak = std::max(all.peak, all.in_use);
  }
  ~Block() {
    if (!released || in_pool) memory[device.index()].in_use -= size;
    if (!of_cpu.defined()) std::free(data);
  }
  // Work of a stream uses it.
  void use(Key by, uint64_t number, bool writes) {
    if (!is_over(written, by) || (writes && !is_over(read, by)))
      raise(kUnordered, "memory that another stream uses: wait for its event before");
    (writes ? written : read)[by] = number;
  }
  void release() {
    Locked lock(world);
    released = true;
    if (!in_pool) memory[device.index()].in_use -= size;
    Clock used = read;
    merge(used, written);
    for (auto& other : recorded) used.erase(other);
    if (!is_over(used, stream))
      latched = {kFreedInUse, "memory was freed while another stream may still use it: call record_stream before"};
  }
};
using BlockPtr = std::shared_ptr<Block>;

inline void check_limit(c10::Device device, size_t size) {
  auto& all = memory[device.index()];
  TORCH_CHECK_WITH(OutOfMemoryError, all.in_use + size <= all.limit, "CUDA out of memory. Tried to allocate ", size,
                   " bytes. GPU ", int(device.index()), " has a total capacity of ", all.limit, " bytes of which ",
                   all.limit - std::min(all.limit, all.in_use), " bytes is free.");
}

inline void release_block(void* context) {
  auto* block = static_cast<BlockPtr*>(context);
  (*block)->release();
  delete block;
}
inline void forget_block(void* context) { delete static_cast<BlockPtr*>(context); }

// Memory that was never written reads as NaN, or as -1.
struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override;
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t size) const override { std::memcpy(to, from, size); }
};
inline DeviceAllocator& device_allocator = *new DeviceAllocator;

inline c10::DataPtr own(const BlockPtr& block) { return {block->data, new BlockPtr(block), &release_block, block->device}; }

// The block of a device's tensor; none if it is empty.
inline BlockPtr block_of(const at::Tensor& tensor) {
  const auto& pointer = tensor.storage().data_ptr();
  return pointer.get_deleter() == &release_block ? *static_cast<BlockPtr*>(pointer.get_context()) : nullptr;
}

inline at::Tensor make_tensor(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}

// The same memory as a tensor of the CPU.
inline at::Tensor cpu_alias(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_cuda()) return tensor;
  const auto& storage = tensor.storage();
  auto block = block_of(tensor);
  c10::DataPtr data(storage.mutable_data(), new BlockPtr(block), &forget_block, c10::Device(c10::kCPU));
  c10::Storage alias(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data), c10::GetCPUAllocator(), true);
  return make_tensor(std::move(alias), c10::DispatchKey::CPU, tensor);
}

// The memory of what a CPU kernel made, as a block of the device.
inline BlockPtr adopt(const at::Tensor& made, c10::Device device, Key stream) {
  check_limit(device, made.storage().nbytes());
  auto block = std::make_shared<Block>(made.storage().mutable_data(), made.storage().nbytes(), device, stream);
  block->of_cpu = made;
  return block;
}

// ---- pinned memory: ranges that cudaHostRegister took, and what the pinned allocator gave ----
inline std::map<uintptr_t, size_t>& pinned = *new std::map<uintptr_t, size_t>;

inline bool is_pinned(const void* pointer) {
  Locked lock(world);
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  auto after = pinned.upper_bound(address);
  return after != pinned.begin() && (--after)->first + after->second > address;
}

inline int latched_code(int code, const char* text) {
  latched = {code, text};
  return code;
}
inline int refusal = 0;  // what a driver says that cannot register any memory
inline int register_memory(uintptr_t start, size_t size) {
  Locked lock(world);
  if (refusal) return latched_code(refusal, "operation not supported");
  if (capturing_globally()) return latched_code(kCapturing, "operation not permitted when stream is capturing");
  if (!start || !size) return latched_code(kInvalidValue, "invalid argument");
  for (auto& [other, length] : pinned)
    if (start < other + length && other < start + size)
      return latched_code(kAlreadyRegistered, "part or all of the requested memory range is already mapped");
  pinned[start] = size;
  return 0;
}
inline int unregister_memory(uintptr_t start) {
  Locked lock(world);
  if (pinned.erase(start)) return 0;
  return latched_code(kNotRegistered, "pointer does not correspond to a registered memory region");
}

struct PinnedAllocator final : c10::Allocator {
  static void release(void* pointer) {
    Locked lock(world);
    pinned.erase(reinterpret_cast<uintptr_t>(pointer));
    std::free(pointer);
  }
  c10::DataPtr allocate(size_t size) override {
    if (!size) return {nullptr, c10::Device(c10::kCPU)};
    Locked lock(world);
    void* pointer = std::aligned_alloc(64, (size + 63) / 64 * 64);
    pinned[reinterpret_cast<uintptr_t>(pointer)] = size;
    return {pointer, pointer, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t size) const override { std::memcpy(to, from, size); }
};
inline PinnedAllocator& pinned_allocator = *new PinnedAllocator;

}  // namespace stand_in
