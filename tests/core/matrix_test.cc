#include "engine/core/matrix.h"

#include <catch2/catch.hpp>
#include <memory_resource>
#include <string_view>
#include <utility>

#include "engine/core/range.h"
#include "engine/core/sha256.h"

namespace longshadow {
namespace {

/// Counts what is allocated and checks that the same is given back.
class CountingMemory final : public std::pmr::memory_resource {
 public:
  std::size_t bytes_in_use = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    bytes_in_use += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    bytes_in_use -= bytes;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

TEST_CASE("a matrix owns its elements and gives them back once") {
  CountingMemory memory;
  {
    Matrix<float> a(&memory, 3, 5);
    CHECK(a.bytes() == 60);
    CHECK(memory.bytes_in_use == 60);
    const float* data = a.data();
    Matrix<float> b(std::move(a));
    CHECK(b.data() == data);
    CHECK(a.data() == nullptr);
    CHECK(a.bytes() == 0);
    Matrix<float> c(&memory, 2, 2);
    c = std::move(b);
    CHECK(c.data() == data);
    CHECK(c.rows() == 3);
    CHECK(memory.bytes_in_use == 60);
    c = Matrix<float>();
    CHECK(memory.bytes_in_use == 0);
  }
  CHECK(memory.bytes_in_use == 0);
}

TEST_CASE("an empty matrix needs no memory") {
  CountingMemory memory;
  const Matrix<double> none(&memory, 0, 7);
  CHECK(memory.bytes_in_use == 0);
  CHECK(none.data() == nullptr);
}

TEST_CASE("elements begin on a cache line") {
  CountingMemory memory;
  const Matrix<float> matrix(&memory, 1, 3);
  CHECK(reinterpret_cast<std::uintptr_t>(matrix.data()) % 64 == 0);
}

TEST_CASE("views of rows and columns look at the same elements") {
  Matrix<int> matrix(std::pmr::new_delete_resource(), 4, 6);
  for (int i = 0; i < 24; ++i) matrix.data()[i] = i;
  const MatrixView<int> block = matrix.view().row_range(1, 2).column_range(3, 2);
  CHECK(block.rows == 2);
  CHECK(block.cols == 2);
  CHECK(block.row(0)[0] == 9);
  CHECK(block.row(1)[1] == 16);
  block.row(1)[1] = -1;
  CHECK(matrix.row(2)[4] == -1);
  const MatrixView<const int> readable = block;
  CHECK(readable.row(1)[1] == -1);
}

TEST_CASE("round_up and ranges") {
  CHECK(round_up(0, 128) == 0);
  CHECK(round_up(1, 128) == 128);
  CHECK(round_up(128, 128) == 128);
  CHECK(round_up(129, 128) == 256);
  CHECK(Range{3, 7}.size() == 4);
}

// The example of FIPS 180-2, and the digest of nothing.
TEST_CASE("SHA-256 of known texts") {
  const auto digest = [](std::string_view text) {
    return sha256_hex(std::as_bytes(std::span(text)));
  };
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace longshadow
