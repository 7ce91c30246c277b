/* A GenTL producer that is another one (it is linked to it) with faults: what CONTROL, a file, says.
 *
 *   unplugged    no device is found, one that is open answers no more, and no frame comes
 *   incomplete   every third frame is reported as incomplete
 *   skip         frames' ids are ten times what they were: nine are missing before each
 *
 * Only what is changed is here; the loader finds all else in the library that this one needs. GenTL 1.6.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OK 0
#define IO_FAILED (-1010)
#define TIMEOUT (-1011)
#define IS_INCOMPLETE 7
#define FRAME_ID 16

static int is(const char *fault) {
    char word[32] = "";
    FILE *file = fopen(CONTROL, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%31s", word) != 1) word[0] = 0;
    fclose(file);
    return strcmp(word, fault) == 0;
}

#define REAL(name, ...) ((int32_t (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

int32_t IFGetNumDevices(void *interface, uint32_t *count) {
    int32_t result = REAL(IFGetNumDevices, void *, uint32_t *)(interface, count);
    if (is("unplugged")) *count = 0;
    return result;
}

static void *devices[64];

/* The camera's registers, not those of the producer's own. */
static int is_device(void *port) {
    for (int i = 0; i < 64; i++)
        if (devices[i] == port) return 1;
    return 0;
}

int32_t DevGetPort(void *device, void **port) {
    static unsigned count = 0;
    int32_t result = REAL(DevGetPort, void *, void **)(device, port);
    if (result == OK) devices[count++ % 64] = *port;
    return result;
}

int32_t GCReadPort(void *port, uint64_t address, void *data, size_t *size) {
    if (is_device(port) && is("unplugged")) return IO_FAILED;
    return REAL(GCReadPort, void *, uint64_t, void *, size_t *)(port, address, data, size);
}

int32_t GCWritePort(void *port, uint64_t address, const void *data, size_t *size) {
    if (is_device(port) && is("unplugged")) return IO_FAILED;
    return REAL(GCWritePort, void *, uint64_t, const void *, size_t *)(port, address, data, size);
}

int32_t EventGetData(void *event, void *data, size_t *size, uint64_t milliseconds) {
    if (is("unplugged")) {
        usleep(1000 * milliseconds);
        return TIMEOUT;
    }
    return REAL(EventGetData, void *, void *, size_t *, uint64_t)(event, data, size, milliseconds);
}

int32_t DSGetBufferInfo(void *stream, void *buffer, int32_t what, int32_t *type, void *data, size_t *size) {
    static int asked = 0;
    int32_t result =
        REAL(DSGetBufferInfo, void *, void *, int32_t, int32_t *, void *, size_t *)(stream, buffer, what, type, data, size);
    if (result != OK || data == NULL) return result;
    if (what == IS_INCOMPLETE && is("incomplete")) *(uint8_t *)data = asked++ % 3 == 2;
    if (what == FRAME_ID && is("skip")) *(uint64_t *)data *= 10;
    return result;
}
