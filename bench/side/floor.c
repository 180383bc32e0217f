/* The floor: what no relay can do without. One upstream, one buffer, and the same send() to every viewer whenever
 * MILLISECONDS have gone by since the last time. No ring, no slow viewers (who cannot take it all is closed), no joining
 * at a key frame.
 *
 *     floor PORT UPSTREAM_PORT UPSTREAM_PATH MILLISECONDS
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
static char gathered[16 << 20], scrap[1 << 16];
static int viewers[MOST], count;

static int tcp(int port, int listening) {
    int one = 1, size = 512 << 10, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (listening) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* inherited by what is accepted */
    int failed = listening ? bind(fd, (void *)&at, sizeof at) || listen(fd, 4096) : connect(fd, (void *)&at, sizeof at);
    if (failed) perror("floor"), exit(1);
    return fd;
}

static long now_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static void leave(int fd) {
    for (int i = 0; i < count; i++)
        if (viewers[i] == fd) viewers[i] = viewers[--count];
    close(fd);
}

static void flush_to_all(long size) {
    for (int i = count - 1; i >= 0; i--)
        if (send(viewers[i], gathered, size, MSG_NOSIGNAL) != size) leave(viewers[i]);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    long every = atol(argv[4]), last = 0, have = 0;
    int listening = tcp(atoi(argv[1]), 1), upstream = tcp(atoi(argv[2]), 0), poll = epoll_create1(0), in_head = 1;
    int length = snprintf(scrap, sizeof scrap, "GET %s HTTP/1.1\r\nHost: floor\r\n\r\n", argv[3]);
    if (send(upstream, scrap, length, 0) != length) return 1;
    struct epoll_event event = {.events = EPOLLIN}, events[1024];
    event.data.fd = listening, epoll_ctl(poll, EPOLL_CTL_ADD, listening, &event);
    event.data.fd = upstream, epoll_ctl(poll, EPOLL_CTL_ADD, upstream, &event);
    for (;;) {
        long wait = last + every - now_ms();
        int ready = epoll_wait(poll, events, 1024, in_head || !have ? -1 : wait > 0 ? wait : 0);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                int viewer = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
                event.data.fd = viewer;
                if (viewer >= 0) epoll_ctl(poll, EPOLL_CTL_ADD, viewer, &event);
            } else if (fd == upstream) {
                long got = recv(upstream, gathered + have, sizeof gathered - have, 0);
                if (got <= 0) return 1;
                have += got;
                char *body = in_head ? memmem(gathered, have, "\r\n\r\n", 4) : NULL;
                if (body) {
                    have -= body + 4 - gathered, in_head = 0;
                    memmove(gathered, body + 4, have);
                }
            } else {
                long got = recv(fd, scrap, sizeof scrap, 0);
                if (got <= 0) leave(fd);
                else if (memmem(scrap, got, "\r\n\r\n", 4) && count < MOST && send(fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL) > 0)
                    viewers[count++] = fd;
            }
        }
        if (!in_head && have && now_ms() - last >= every) last = now_ms(), flush_to_all(have), have = 0;
    }
}
