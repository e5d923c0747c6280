/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that scale starts. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void become(char *const *argv, const char *log)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        execv(argv[0], argv);
    _exit(127);
}

/* Its status, or -1 after the time is over. */
static int wait_for(pid_t pid, int64_t timeout_s)
{
    double end = aster_wall() + (double)timeout_s;
    int status;
    for (;;) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid)
            return status;
        if (done < 0 && errno != EINTR)
            return -1;
        if (aster_wall() > end) {
            kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

void aster_child_run(char *const *argv, const char *log, int64_t timeout_s, char *error,
                     size_t size)
{
    *error = '\0';
    pid_t pid = fork();
    if (pid == 0)
        become(argv, log);
    if (pid < 0) {
        snprintf(error, size, "no process could be made: %s", strerror(errno));
        return;
    }
    int status = wait_for(pid, timeout_s);
    if (status < 0)
        snprintf(error, size, "it took longer than %lld s", (long long)timeout_s);
    else if (WIFSIGNALED(status))
        snprintf(error, size, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 127)
        snprintf(error, size, "%s cannot be started, or %s not be written", argv[0], log);
    else if (WEXITSTATUS(status))
        snprintf(error, size, "exit status %d", WEXITSTATUS(status));
}

void aster_child_last_error(const char *log, char *error, size_t size)
{
    const char *last = NULL, *at = log;
    while ((at = strstr(at, "[aster] error: ")))
        last = at += 15;
    if (last)
        snprintf(error, size, "%.*s", (int)strcspn(last, "\n"), last);
}

void aster_child_dated(const char *prefix, char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm t;
    localtime_r(&now, &t);
    snprintf(out, size, "%s%04d%02d%02d_%02d%02d%02d", prefix, (t.tm_year + 1900) % 10000,
             t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

static int take_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

int aster_child_clear(const char *folder)
{
    struct stat st;
    if (lstat(folder, &st) != 0)
        return 0;
    return nftw(folder, take_away, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}
