// The convolution by kernels of three rows on a CPU, and its gradient by the kernel, in float32.
//
// It is Winograd's F(4, 3) along the rows, as in winograd.py, which gives the matrices: a group of
// four rows of the output comes from six sums of rows of the input, each convolved along the
// columns by a sum of the kernel's rows. XLA calls the functions at the end. All arrays are
// [batch, rows, columns, channels].
//
// Bits depend on the shapes alone: threads divide the outputs among them, never a sum.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// Numbers of a register, and sums that are kept in registers at a time.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kSums = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8, kSums = 8;
#else
constexpr int kLanes = 4, kSums = 8;
#endif

typedef float Lanes __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

constexpr int kTaps = 3, kRows = 4, kProducts = 6;
constexpr int64_t kChannels = 64;  // of the input, whose gradients are summed together
constexpr int64_t kPixels = 128;   // of the output, for each addition to such a gradient

// Of sums of rows, for which the kernel is read once: as many as the kernel has, within these.
constexpr int64_t kLeastBytes = 1 << 15, kMostBytes = 1 << 20;

constexpr float kIn[kProducts][kProducts] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                             {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                             {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
constexpr float kKernel[kProducts][kTaps] = {{1.f / 4, 0, 0},
                                             {-1.f / 6, -1.f / 6, -1.f / 6},
                                             {-1.f / 6, 1.f / 6, -1.f / 6},
                                             {1.f / 24, 1.f / 12, 1.f / 6},
                                             {1.f / 24, -1.f / 12, 1.f / 6},
                                             {0, 0, 1}};
constexpr float kOut[kProducts][kRows] = {{1, 0, 0, 0}, {1, 1, 1, 1},   {1, -1, 1, -1},
                                          {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}};

using Array = ffi::Buffer<ffi::F32, 4>;
using Result = ffi::ResultBuffer<ffi::F32, 4>;
using Kernel = ffi::Buffer<ffi::F32, 5>;
using KernelResult = ffi::ResultBuffer<ffi::F32, 5>;

int64_t divide_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }
int64_t round_up(int64_t value, int64_t unit) { return divide_up(value, unit) * unit; }

struct Images {
  const float* data;
  int64_t batch, rows, columns, channels;

  explicit Images(const Array& array)
      : data(array.typed_data()),
        batch(array.dimensions()[0]),
        rows(array.dimensions()[1]),
        columns(array.dimensions()[2]),
        channels(array.dimensions()[3]) {}
};

// The groups of four rows of the output, in all images, and where their rows are in the input.
struct Groups {
  Images input;
  int64_t rows, top, each;  // rows of the output; zeros above the input; groups of an image

  Groups(const Images& input, int64_t rows, int64_t top)
      : input(input), rows(rows), top(top), each(divide_up(rows, kRows)) {}

  int64_t count() const { return input.batch * each; }
  int64_t image(int64_t group) const { return group / each; }
  int64_t first_row(int64_t group) const { return group % each * kRows; }
};

// Which columns of the sums of rows are columns of the input; the others stay zero.
struct Columns {
  int64_t to, from, count;

  Columns(const Images& input, int64_t width, int64_t left)
      : to(std::max<int64_t>(left, 0)),
        from(std::max<int64_t>(-left, 0)),
        count(std::max<int64_t>(std::min(input.columns - from, width - to), 0)) {}
};

Lanes load(const float* at) { return *reinterpret_cast<const Lanes*>(at); }
void store(float* at, Lanes values) { *reinterpret_cast<Lanes*>(at) = values; }

// The sum of rows by factors. Each has `pixels` pixels of `channels` numbers, `from_step` apart;
// those of the sum are `to_step` apart. A row that is null counts as zero.
void sum_rows(const float* factors, const float* const* rows, int count, int64_t pixels,
              int64_t channels, int64_t from_step, int64_t to_step, float* to) {
  const float* used[kProducts];
  float by[kProducts];
  int terms = 0;
  for (int i = 0; i < count; i++)
    if (rows[i] != nullptr && factors[i] != 0) used[terms] = rows[i], by[terms++] = factors[i];
  if (channels == from_step && channels == to_step) channels *= pixels, pixels = 1;
  for (int64_t p = 0; p < pixels; p++) {
    float* out = to + p * to_step;
    int64_t c = 0, at = p * from_step;
    for (; c + kLanes <= channels; c += kLanes) {
      Lanes sum{};
      for (int i = 0; i < terms; i++) sum += by[i] * load(used[i] + at + c);
      store(out + c, sum);
    }
    for (; c < channels; c++) {
      float sum = 0;
      for (int i = 0; i < terms; i++) sum += by[i] * used[i][at + c];
      out[c] = sum;
    }
  }
}

// One sum of rows of the input for a group, from a channel on, of a number of channels.
void sum_input(const Groups& groups, int64_t group, int product, const Columns& columns,
               int64_t channel, int64_t channels, int64_t step, float* to) {
  const Images& input = groups.input;
  const float* rows[kProducts];
  for (int i = 0; i < kProducts; i++) {
    int64_t row = groups.first_row(group) + i - groups.top;
    bool inside = row >= 0 && row < input.rows;
    int64_t line = groups.image(group) * input.rows + row;
    rows[i] = inside ? input.data + (line * input.columns + columns.from) * input.channels + channel
                     : nullptr;
  }
  sum_rows(kIn[product], rows, kProducts, columns.count, channels, input.channels, step,
           to + columns.to * step);
}

// One sum of the rows of a group in the gradient of the output.
void sum_gradient(const Groups& groups, int64_t group, int product, const Images& gradient,
                  int64_t step, float* to) {
  const float* rows[kRows];
  for (int i = 0; i < kRows; i++) {
    int64_t row = groups.first_row(group) + i;
    int64_t line = groups.image(group) * gradient.rows + row;
    rows[i] =
        row < gradient.rows ? gradient.data + line * gradient.columns * gradient.channels : nullptr;
  }
  sum_rows(kOut[product], rows, kRows, gradient.columns, gradient.channels, gradient.channels, step,
           to);
}

// The products of `Pixels` pixels, `step` apart, with a kernel of one register of features.
template <int Pixels>
void multiply(const float* in, int64_t step, int64_t terms, const float* kernel, float* out) {
  Lanes sums[Pixels] = {};
  // Few addresses, or the compiler keeps them in memory.
  const float* fourth[4] = {in, in + 4 * step, in + 8 * step, in + 12 * step};
  const int64_t next[4] = {0, step, 2 * step, 3 * step};
  for (int64_t t = 0; t < terms; t++) {
    Lanes features = load(kernel + t * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; p++) sums[p] += fourth[p / 4][next[p % 4] + t] * features;
  }
#pragma GCC unroll 16
  for (int p = 0; p < Pixels; p++) store(out + p * kLanes, sums[p]);
}

using Multiply = void (*)(const float*, int64_t, int64_t, const float*, float*);
constexpr Multiply kMultiply[] = {
    nullptr,      multiply<1>,  multiply<2>,  multiply<3>,  multiply<4>,  multiply<5>,
    multiply<6>,  multiply<7>,  multiply<8>,  multiply<9>,  multiply<10>, multiply<11>,
    multiply<12>, multiply<13>, multiply<14>, multiply<15>, multiply<16>};

// A row of the output of one product, in pieces that are as even as can be.
void multiply_row(const float* in, int64_t step, int64_t terms, const float* kernel,
                  int64_t columns, float* out) {
  int64_t pieces = divide_up(columns, kSums);
  for (int64_t piece = 0; piece < pieces; piece++) {
    int64_t from = piece * columns / pieces, to = (piece + 1) * columns / pieces;
    kMultiply[to - from](in + from * step, step, terms, kernel, out + from * kLanes);
  }
}

// Up to four rows of the output from the six products, whose arrays are `step` apart.
void write_rows(const float* products, int64_t step, int64_t columns, int64_t rows, float* out,
                int64_t features, int64_t width) {
  for (int64_t j = 0; j < columns; j++) {
    Lanes m[kProducts];
    for (int q = 0; q < kProducts; q++) m[q] = load(products + q * step + j * kLanes);
    Lanes sum = m[1] + m[2], difference = m[1] - m[2];
    Lanes sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    const Lanes values[kRows] = {m[0] + sum + sum2, difference + 2 * difference2, sum + 4 * sum2,
                                 difference + 8 * difference2 + m[5]};
    for (int64_t i = 0; i < rows; i++) {
      float* to = out + (i * columns + j) * features;
      if (width == kLanes)
        store(to, values[i]);
      else
        std::memcpy(to, &values[i], width * sizeof(float));
    }
  }
}

// Adds the gradients of the kernel by `kSums` channels and a register of features.
void add_products(const float* in, int64_t in_step, const float* gradient, int64_t gradient_step,
                  int64_t columns, int64_t in_line, int64_t gradient_line, int64_t lines, float* to,
                  int64_t to_step) {
  Lanes sums[kSums] = {};
  for (int64_t line = 0; line < lines; line++) {
    const float* a = in + line * in_line;
    const float* b = gradient + line * gradient_line;
    for (int64_t j = 0; j < columns; j++, a += in_step, b += gradient_step) {
      Lanes features = load(b);
#pragma GCC unroll 16
      for (int i = 0; i < kSums; i++) sums[i] += a[i] * features;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kSums; i++) store(to + i * to_step, load(to + i * to_step) + sums[i]);
}

// Memory of a thread for a part of the work; it is kept, because the system hands it out slowly.
float* scratch(int part, int64_t size) {
  thread_local std::vector<float> memory[3];
  if (static_cast<int64_t>(memory[part].size()) < size) memory[part].resize(size);
  return memory[part].data();
}

// Calls work(0), ..., work(units - 1), on this thread and on those that are free meanwhile.
//
// This thread never waits for one that has not begun: the others may all be waiting themselves.
template <typename Work>
void share(ffi::ThreadPool& pool, int64_t units, const Work& work) {
  struct State {
    std::atomic<int64_t> next{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable changed;
  };
  auto state = std::make_shared<State>();
  auto run = [state, units, &work] {
    for (int64_t unit; (unit = state->next++) < units;) {
      work(unit);
      std::lock_guard<std::mutex> lock(state->mutex);
      if (++state->done == units) state->changed.notify_all();
    }
  };
  for (int64_t i = 1; i < std::min(pool.num_threads(), units); i++)
    pool.Schedule(decltype(run)(run));
  run();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->changed.wait(lock, [&] { return state->done == units; });
}

// The six sums of a kernel's rows, with the features by registers.
//
// kernel: [3, window, channels, features]; where it is flipped, rows and columns count from the end
//     and channels and features are exchanged, as for the gradient by the input.
// result: [features / lanes, 6, window, channels, lanes], with zeros for features that it lacks.
ffi::Error SumKernel(ffi::ThreadPool pool, Array kernel, KernelResult result, bool flipped) {
  auto from = kernel.dimensions(), to = result->dimensions();
  int64_t window = from[1], channels = to[3], features = from[flipped ? 2 : 3];
  share(pool, to[0], [&](int64_t block) {
    int64_t feature = block * kLanes, used = std::min<int64_t>(kLanes, features - feature);
    for (int64_t line = 0; line < kProducts * window; line++) {
      float* out = result->typed_data() + (block * kProducts * window + line) * channels * kLanes;
      const float* by = kKernel[line / window];
      const float* rows[kTaps];
      for (int i = 0; i < kTaps; i++) {
        int64_t at = i * window + line % window;
        rows[i] = kernel.typed_data() +
                  (flipped ? kTaps * window - 1 - at : at) * from[2] * from[3] +
                  feature * (flipped ? channels : 1);
      }
      if (used < kLanes) std::memset(out, 0, sizeof(float) * channels * kLanes);
      if (!flipped) {
        sum_rows(by, rows, kTaps, channels, used, features, kLanes, out);
        continue;
      }
      for (int64_t f = 0; f < used; f++)
        for (int64_t c = 0; c < channels; c++) {
          int64_t at = f * channels + c;
          out[c * kLanes + f] = by[0] * rows[0][at] + by[1] * rows[1][at] + by[2] * rows[2][at];
        }
    }
  });
  return ffi::Error::Success();
}

// kernel: what SumKernel gives.
ffi::Error Convolve(ffi::ThreadPool pool, Array lhs, Kernel kernel, Result result, int64_t top,
                    int64_t left) {
  if (result->element_count() == 0) return ffi::Error::Success();
  Images input(lhs), output(*result);
  Groups groups(input, output.rows, top);
  int64_t blocks = kernel.dimensions()[0], window = kernel.dimensions()[2];
  int64_t columns = output.columns, width = columns + window - 1, channels = input.channels;
  Columns read(input, width, left);
  int64_t size = std::max<int64_t>(width * channels, 1),
          threads = std::max<int64_t>(pool.num_threads(), 1);
  int64_t bytes = std::clamp<int64_t>(kernel.size_bytes(), kLeastBytes, kMostBytes);
  int64_t most = std::max<int64_t>(bytes / (4 * kProducts * size), 1);
  int64_t chunk = std::min(most, divide_up(groups.count(), threads));
  share(pool, divide_up(groups.count(), chunk), [&](int64_t unit) {
    int64_t first = unit * chunk, count = std::min(chunk, groups.count() - first);
    float* sums = scratch(0, kProducts * chunk * size);
    float* products = scratch(1, kProducts * chunk * columns * kLanes);
    std::memset(sums, 0, sizeof(float) * kProducts * chunk * size);
    for (int q = 0; q < kProducts; q++)
      for (int64_t g = 0; g < count; g++)
        sum_input(groups, first + g, q, read, 0, channels, channels, sums + (q * chunk + g) * size);
    for (int64_t block = 0; block < blocks; block++) {
      int64_t feature = block * kLanes, step = chunk * columns * kLanes;
      for (int q = 0; q < kProducts; q++) {
        const float* part =
            kernel.typed_data() + (block * kProducts + q) * window * channels * kLanes;
        for (int64_t g = 0; g < count; g++)
          multiply_row(sums + (q * chunk + g) * size, channels, window * channels, part, columns,
                       products + q * step + g * columns * kLanes);
      }
      for (int64_t g = 0; g < count; g++) {
        int64_t row = groups.first_row(first + g);
        int64_t line = groups.image(first + g) * output.rows + row;
        write_rows(products + g * columns * kLanes, step, columns,
                   std::min<int64_t>(kRows, output.rows - row),
                   result->typed_data() + line * columns * output.channels + feature,
                   output.channels, std::min<int64_t>(kLanes, output.channels - feature));
      }
    }
  });
  return ffi::Error::Success();
}

// result: the gradient by the kernel, [3, window, channels, features].
ffi::Error KernelGradient(ffi::ThreadPool pool, Array lhs, Array gradient, Result result,
                          int64_t top, int64_t left) {
  Images input(lhs), output(gradient);
  Groups groups(input, output.rows, top);
  int64_t window = result->dimensions()[1], columns = output.columns, width = columns + window - 1;
  int64_t features = round_up(output.channels, kLanes),
          parts = divide_up(input.channels, kChannels);
  Columns read(input, width, left);
  int64_t chunk = std::max<int64_t>(kPixels / std::max<int64_t>(columns, 1), 1);
  // Several threads share the columns of the kernel as well.
  int64_t taps = pool.num_threads() > parts ? 1 : window;
  share(pool, parts * (window / taps), [&](int64_t unit) {
    int64_t channel = unit % parts * kChannels, tap = unit / parts * taps;
    int64_t used = std::min(kChannels, input.channels - channel);
    int64_t channels = round_up(used, kSums), size = taps * channels * features;
    float* sums = scratch(0, chunk * width * channels);
    float* gradients = scratch(1, chunk * columns * features);
    float* totals = scratch(2, kProducts * size);
    std::memset(sums, 0, sizeof(float) * chunk * width * channels);
    std::memset(gradients, 0, sizeof(float) * chunk * columns * features);
    std::memset(totals, 0, sizeof(float) * kProducts * size);
    for (int64_t first = 0; first < groups.count(); first += chunk) {
      int64_t count = std::min(chunk, groups.count() - first);
      for (int q = 0; q < kProducts; q++) {
        for (int64_t g = 0; g < count; g++) {
          sum_input(groups, first + g, q, read, channel, used, channels,
                    sums + g * width * channels);
          sum_gradient(groups, first + g, q, output, features, gradients + g * columns * features);
        }
        for (int64_t c = 0; c < channels; c += kSums)
          for (int64_t t = 0; t < taps; t++)
            for (int64_t f = 0; f < features; f += kLanes)
              add_products(sums + (tap + t) * channels + c, channels, gradients + f, features,
                           columns, width * channels, columns * features, count,
                           totals + q * size + (t * channels + c) * features + f, features);
      }
    }
    const float* rows[kProducts];
    for (int64_t t = 0; t < taps; t++) {
      for (int q = 0; q < kProducts; q++) rows[q] = totals + q * size + t * channels * features;
      for (int i = 0; i < kTaps; i++) {
        float by[kProducts];
        for (int q = 0; q < kProducts; q++) by[q] = kKernel[q][i];
        sum_rows(by, rows, kProducts, used, output.channels, features, output.channels,
                 result->typed_data() +
                     ((i * window + tap + t) * input.channels + channel) * output.channels);
      }
    }
  });
  return ffi::Error::Success();
}

}  // namespace

extern "C" int lanes() { return kLanes; }

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    sum_kernel, SumKernel,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Ret<Kernel>().Attr<bool>("flipped"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(convolve_rows, Convolve,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Kernel>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(kernel_gradient, KernelGradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left"));
