/* A GenTL producer that is another one (it is linked to it) with faults, and with a trigger, which that one has not.
 *
 * CONTROL, a file, says which fault:
 *
 *   unplugged    no device is found, one that is open answers no more, and no frame comes
 *   incomplete   every third frame is reported as incomplete
 *   skip         frames' ids are ten times what they were: nine are missing before each
 *   deaf         TriggerSoftware is refused
 *
 * TRIGGER, a file, is what the camera's description has beyond the real one's: the standard's settings of a trigger.
 * While TriggerMode is On for FrameStart, a frame comes for each trigger alone, and its id counts the triggers.
 * LINE, a file, is the wire at the camera's Line1: each byte that is added while it acquires is a pulse, and the grey
 * that it then sees; at a pulse of 0 it takes and counts a frame that is lost on its way. All cameras here are at it.
 * SCENE, a file, is what all cameras here see when TriggerSoftware fires them: the grey of its last byte, or as above
 * nothing at 0; without it, what the real one sees.
 *
 * Only what is changed is here; the loader finds all else in the library that this one needs. GenTL 1.6.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK 0
#define ACCESS_DENIED (-1005)
#define IO_FAILED (-1010)
#define TIMEOUT (-1011)
#define URL 0
#define NEW_BUFFER 1
#define BASE 0
#define SIZE 1
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

#define SHOTS 16

/* registers: selector, source, software, and the mode for each that the selector knows
 * triggers: how many it took;  pulses: where it is in LINE;  shots: what it saw, fired by software, that is not out yet */
static struct camera {
    void *device, *port, *stream, *event;
    uint32_t registers[5];
    uint64_t triggers;
    long pulses;
    int shots[SHOTS];
    unsigned taken, out;
} cameras[64];

static struct camera *of_device(void *device) {
    static unsigned count = 0;
    for (int i = 0; i < 64; i++)
        if (cameras[i].device == device) return &cameras[i];
    struct camera *new = &cameras[count++ % 64];
    memset(new, 0, sizeof *new);
    new->device = device;
    return new;
}

/* The camera whose port, stream or event that is; NULL for those of the producer's own. A handle that was one's before it
 * was closed may be handed out anew, to another. */
#define OF(member) \
    static void give_##member(struct camera *camera, void *member) { \
        for (int i = 0; i < 64; i++) \
            if (cameras[i].member == member) cameras[i].member = NULL; \
        camera->member = member; \
    } \
    static struct camera *of_##member(void *member) { \
        for (int i = 0; i < 64; i++) \
            if (member != NULL && cameras[i].member == member) return &cameras[i]; \
        return NULL; \
    }
OF(port)
OF(stream)
OF(event)

int32_t DevGetPort(void *device, void **port) {
    int32_t result = REAL(DevGetPort, void *, void **)(device, port);
    if (result == OK) give_port(of_device(device), *port);
    return result;
}

int32_t DevOpenDataStream(void *device, const char *id, void **stream) {
    int32_t result = REAL(DevOpenDataStream, void *, const char *, void **)(device, id, stream);
    if (result == OK) give_stream(of_device(device), *stream);
    return result;
}

/* The trigger's registers, as TRIGGER has them, and behind them the whole description. */

#define REGISTERS 0x60000000
#define DESCRIPTION 0x70000000

#define SOURCE 1
#define SOFTWARE 2
#define FRAME_START_MODE 4
#define LINE1 1

static char *description;
static size_t described;

/* Read once: the real description up to its closing tag, and then TRIGGER, which ends with that tag. */
static int describe(void *port, uint64_t address, size_t size) {
    static const char end[] = "</RegisterDescription>";
    FILE *file = fopen(TRIGGER, "r");
    if (file == NULL) return IO_FAILED;
    fseek(file, 0, SEEK_END);
    size_t more = ftell(file);
    rewind(file);
    description = calloc(size + more + 1, 1);
    int32_t result = REAL(GCReadPort, void *, uint64_t, void *, size_t *)(port, address, description, &size);
    char *at = result == OK ? strstr(description, end) : NULL;
    described = at == NULL ? 0 : at - description + fread(at, 1, more, file);
    fclose(file);
    return at == NULL ? IO_FAILED : OK;
}

int32_t GCGetPortURLInfo(void *port, uint32_t index, int32_t what, int32_t *type, void *data, size_t *size) {
    char real[256], file[128];
    size_t length = sizeof real;
    unsigned long long address, real_size;
    if (of_port(port) == NULL || what != URL)
        return REAL(GCGetPortURLInfo, void *, uint32_t, int32_t, int32_t *, void *, size_t *)(port, index, what, type, data, size);
    int32_t result = REAL(GCGetPortURLInfo, void *, uint32_t, int32_t, int32_t *, void *, size_t *)(port, index, what, type, real, &length);
    if (result != OK) return result;
    if (sscanf(real, "local:%127[^;];%llx;%llx", file, &address, &real_size) != 3) return IO_FAILED;
    if (description == NULL && describe(port, address, real_size) != OK) return IO_FAILED;
    length = snprintf(real, sizeof real, "local:trigger_%.100s;%x;%zx", file, DESCRIPTION, described) + 1;
    if (data != NULL) memcpy(data, real, length < *size ? length : *size);
    *size = length;
    return OK;
}

/* Where that address is here, if it is. */
static char *ours(void *port, uint64_t address, size_t size) {
    struct camera *camera = of_port(port);
    if (camera == NULL) return NULL;
    if (address >= REGISTERS && address + size <= REGISTERS + sizeof camera->registers)
        return (char *)camera->registers + (address - REGISTERS);
    if (address >= DESCRIPTION && address + size <= DESCRIPTION + described) return description + (address - DESCRIPTION);
    return NULL;
}

int32_t GCReadPort(void *port, uint64_t address, void *data, size_t *size) {
    if (of_port(port) != NULL && is("unplugged")) return IO_FAILED;
    char *from = ours(port, address, *size);
    if (from == NULL) return REAL(GCReadPort, void *, uint64_t, void *, size_t *)(port, address, data, size);
    memcpy(data, from, *size);
    return OK;
}

/* The grey of the newest part in SCENE, or -1 where there is none. */
static int seen(void) {
    FILE *file = fopen(SCENE, "r");
    if (file == NULL) return -1;
    int grey = fseek(file, -1, SEEK_END) == 0 ? fgetc(file) : -1;
    fclose(file);
    return grey;
}

int32_t GCWritePort(void *port, uint64_t address, const void *data, size_t *size) {
    if (of_port(port) != NULL && is("unplugged")) return IO_FAILED;
    char *to = ours(port, address, *size);
    if (to != NULL && to == (char *)&of_port(port)->registers[SOFTWARE]) {
        struct camera *camera = of_port(port);
        if (is("deaf")) return ACCESS_DENIED;
        if (camera->registers[SOURCE] != LINE1) camera->shots[camera->taken++ % SHOTS] = seen();
        return OK;
    }
    if (to == NULL) return REAL(GCWritePort, void *, uint64_t, const void *, size_t *)(port, address, data, size);
    memcpy(to, data, *size);
    return OK;
}

/* The frames: the real camera's run free, and those that no trigger asked for go back to it at once. */

int32_t GCRegisterEvent(void *module, int32_t what, void **event) {
    int32_t result = REAL(GCRegisterEvent, void *, int32_t, void **)(module, what, event);
    if (result == OK && what == NEW_BUFFER && of_stream(module) != NULL)
        give_event(of_stream(module), *event);
    return result;
}

/* What came along the line before, nobody waited for. */
int32_t DSStartAcquisition(void *stream, int32_t flags, uint64_t number) {
    FILE *file = fopen(LINE, "r");
    if (file != NULL) {
        fseek(file, 0, SEEK_END);
        of_stream(stream)->pulses = ftell(file);
        fclose(file);
    }
    return REAL(DSStartAcquisition, void *, int32_t, uint64_t)(stream, flags, number);
}

/* Whether a trigger came; `grey` is what it shows, or -1 for what the real camera does. */
static int triggered(struct camera *camera, int *grey) {
    *grey = -1;
    if (camera->registers[SOURCE] != LINE1) {
        if (camera->out == camera->taken) return 0;
        *grey = camera->shots[camera->out++ % SHOTS];
        return 1;
    }
    FILE *file = fopen(LINE, "r");
    if (file == NULL) return 0;
    if (fseek(file, camera->pulses, SEEK_SET) == 0) *grey = fgetc(file);
    fclose(file);
    camera->pulses += *grey != EOF;
    return *grey != EOF;
}

static int32_t shown(void *stream, void *buffer, int grey) {
    void *base;
    size_t size, length = sizeof base;
    int32_t type, result =
        REAL(DSGetBufferInfo, void *, void *, int32_t, int32_t *, void *, size_t *)(stream, buffer, BASE, &type, &base, &length);
    if (grey < 0 || result != OK) return result;
    length = sizeof size;
    result =
        REAL(DSGetBufferInfo, void *, void *, int32_t, int32_t *, void *, size_t *)(stream, buffer, SIZE, &type, &size, &length);
    if (result == OK) memset(base, grey, size);
    return result;
}

int32_t EventGetData(void *event, void *data, size_t *size, uint64_t milliseconds) {
    struct camera *camera = of_event(event);
    void **buffer = data;
    int grey;
    if (is("unplugged")) {
        usleep(1000 * milliseconds);
        return TIMEOUT;
    }
    for (;;) {
        int32_t result = REAL(EventGetData, void *, void *, size_t *, uint64_t)(event, data, size, milliseconds);
        if (result != OK || camera == NULL || !camera->registers[FRAME_START_MODE]) return result;
        if (triggered(camera, &grey)) {
            camera->triggers++;
            if (grey != 0) return shown(camera->stream, *buffer, grey);
        }
        result = REAL(DSQueueBuffer, void *, void *)(camera->stream, *buffer);
        if (result != OK) return result;
    }
}

int32_t DSGetBufferInfo(void *stream, void *buffer, int32_t what, int32_t *type, void *data, size_t *size) {
    static int asked = 0;
    int32_t result =
        REAL(DSGetBufferInfo, void *, void *, int32_t, int32_t *, void *, size_t *)(stream, buffer, what, type, data, size);
    if (result != OK || data == NULL) return result;
    if (what == IS_INCOMPLETE && is("incomplete")) *(uint8_t *)data = asked++ % 3 == 2;
    struct camera *camera = of_stream(stream);
    if (what == FRAME_ID && camera != NULL && camera->registers[FRAME_START_MODE]) *(uint64_t *)data = camera->triggers;
    if (what == FRAME_ID && is("skip")) *(uint64_t *)data *= 10;
    return result;
}
