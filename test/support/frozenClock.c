/* Replaces the time of day by that in a file: eight bytes, the microseconds since 1970. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

static volatile int64_t *micros;

static void __attribute__((constructor)) open_clock(void)
{
    int fd = open(getenv("FROZEN_CLOCK"), O_RDONLY);
    if (fd < 0) abort();
    micros = mmap(0, sizeof *micros, PROT_READ, MAP_SHARED, fd, 0);
    if (micros == MAP_FAILED) abort();
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    (void)tz;
    int64_t now = *micros;
    tv->tv_sec = now / 1000000;
    tv->tv_usec = now % 1000000;
    return 0;
}
