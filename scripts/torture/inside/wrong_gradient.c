/* Makes a product of oneDNN wrong, once, when it is asked to.
 *
 * Loaded before all other libraries of a rank (LD_PRELOAD). Products that add to
 * what is there are those that sum the gradients of weights: the first number
 * of the next such one is made another. The library itself is found by its name,
 * since nothing but the core has linked it.
 *
 * Built by scripts/torture/planting.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Of <oneapi/dnnl/dnnl.h>, oneDNN 3. */
enum { kDestination = 17 }; /* DNNL_ARG_DST */
typedef struct {
  int index;
  void* memory;
} Argument;

static float wrong;
static int armed;

/* The next sum of a gradient that this process makes gets `value`. */
void eisbach_torture_wrong_gradient(float value) {
  wrong = value;
  __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
}

static void* Find(const char* name) {
  static void* library;
  if (!library) library = dlopen("libdnnl.so.3", RTLD_LAZY | RTLD_NOLOAD);
  void* found = library ? dlsym(library, name) : NULL;
  if (!found) abort();
  return found;
}

/* Whether the product adds to what is there: it has an operation after it. */
static int Adds(const void* primitive) {
  const void *desc = NULL, *attributes = NULL, *after = NULL;
  int (*desc_of)(const void*, const void**) =
      Find("dnnl_primitive_get_primitive_desc");
  int (*attributes_of)(const void*, const void**) =
      Find("dnnl_primitive_desc_get_attr");
  int (*after_of)(const void*, const void**) =
      Find("dnnl_primitive_attr_get_post_ops");
  int (*count)(const void*) = Find("dnnl_post_ops_len");
  return desc_of(primitive, &desc) == 0 &&
         attributes_of(desc, &attributes) == 0 &&
         after_of(attributes, &after) == 0 && count(after) > 0;
}

static void Spoil(int count, const Argument* arguments) {
  int (*data_of)(const void*, void**) = Find("dnnl_memory_get_data_handle");
  for (int i = 0; i < count; ++i) {
    void* data = NULL;
    if (arguments[i].index != kDestination) continue;
    if (data_of(arguments[i].memory, &data) != 0 || !data) abort();
    memcpy(data, &wrong, sizeof(wrong)); /* gradients are f32 */
  }
}

int dnnl_primitive_execute(const void* primitive, void* stream, int count,
                           const Argument* arguments) {
  static int (*execute)(const void*, void*, int, const Argument*);
  static int (*wait)(void*);
  if (!execute) {
    wait = Find("dnnl_stream_wait");
    execute = Find("dnnl_primitive_execute");
  }
  const int status = execute(primitive, stream, count, arguments);
  if (status != 0 || !__atomic_load_n(&armed, __ATOMIC_SEQ_CST) ||
      !Adds(primitive) || !__atomic_exchange_n(&armed, 0, __ATOMIC_SEQ_CST)) {
    return status;
  }
  wait(stream);
  Spoil(count, arguments);
  return status;
}
