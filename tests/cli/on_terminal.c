/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a command on a terminal of its own and prints what a person would have seen: the screen
 * whenever nothing came for a while, and at the end. on-terminal ROWS COLUMNS PICTURES
 * [NEW_COLUMNS] COMMAND...: after PICTURES screens control-C is typed; with NEW_COLUMNS the
 * terminal gets that width after the first half of them. FIRST_WORDS in the environment: what a
 * line of the first screen begins with, those before it are not printed. Knows only the controls
 * that the dashboard uses; any other is an error. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROWS = 100, MOST_COLUMNS = 300, QUIET_MS = 50 };

static struct {
    int rows, columns, row, column;
    char at[MOST_ROWS][MOST_COLUMNS + 1];
    char escape[16]; /* what came of a control sequence */
    int n_escape;
} screen;

static void blank(int row, int from)
{
    memset(screen.at[row] + from, ' ', (size_t)(MOST_COLUMNS - from));
}

static void next_row(void)
{
    if (++screen.row < screen.rows)
        return;
    screen.row = screen.rows - 1;
    memmove(screen.at[0], screen.at[1], sizeof screen.at[0] * (size_t)(screen.rows - 1));
    blank(screen.row, 0);
}

static void control(void)
{
    int n = atoi(screen.escape + 1);
    switch (screen.escape[screen.n_escape - 1]) {
    case 'A':
        screen.row = screen.row > n ? screen.row - (n ? n : 1) : 0;
        break;
    case 'J':
        for (int r = screen.row + 1; r < screen.rows; r++)
            blank(r, 0);
        blank(screen.row, screen.column);
        break;
    case 'K':
        blank(screen.row, screen.column);
        break;
    default:
        printf("unknown control sequence %.*s\n", screen.n_escape, screen.escape);
        exit(1);
    }
}

static void put(char c)
{
    if (screen.n_escape) {
        if (screen.n_escape < (int)sizeof screen.escape - 1)
            screen.escape[screen.n_escape - 1] = c;
        screen.escape[screen.n_escape] = '\0';
        if (isalpha((unsigned char)c)) {
            control();
            screen.n_escape = 0;
        } else {
            screen.n_escape++;
        }
        return;
    }
    if (c == '\033') {
        screen.n_escape = 1;
    } else if (c == '\r') {
        screen.column = 0;
    } else if (c == '\n') {
        next_row();
    } else {
        if (screen.column >= screen.columns) {
            screen.column = 0;
            next_row();
        }
        screen.at[screen.row][screen.column++] = c;
    }
}

static void picture(const char *title)
{
    printf("---- %s\n", title);
    for (int r = 0; r < screen.rows; r++) {
        int n = MOST_COLUMNS;
        while (n > 0 && screen.at[r][n - 1] == ' ')
            n--;
        if (n)
            printf("%.*s\n", n, screen.at[r]);
    }
}

/* Does a line begin so? */
static bool shows(const char *words)
{
    for (int r = 0; words && r < screen.rows; r++)
        if (strncmp(screen.at[r], words, strlen(words)) == 0)
            return true;
    return !words;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    int pictures = atoi(argv[3]), wider = isdigit((unsigned char)*argv[4]) ? atoi(argv[4]) : 0,
        seen = 0, fd, status;
    screen.rows = atoi(argv[1]);
    screen.columns = atoi(argv[2]);
    if (screen.rows < 2 || screen.rows > MOST_ROWS || screen.columns < 2 ||
        screen.columns > MOST_COLUMNS || wider > MOST_COLUMNS)
        return 2;
    for (int r = 0; r < screen.rows; r++)
        blank(r, 0);
    struct winsize size = {.ws_row = (unsigned short)screen.rows,
                           .ws_col = (unsigned short)screen.columns};
    pid_t child = forkpty(&fd, NULL, NULL, &size);
    if (child < 0)
        return 77; /* no terminals here */
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        execvp(argv[wider ? 5 : 4], argv + (wider ? 5 : 4));
        _exit(127);
    }
    for (bool fresh = false;;) {
        char bytes[4096];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, QUIET_MS);
        if (ready == 0 && fresh && seen < pictures && (seen || shows(getenv("FIRST_WORDS")))) {
            picture("picture");
            fresh = false;
            if (++seen == pictures && write(fd, "\003", 1) != 1)
                return 1;
            if (wider && seen == pictures / 2) { /* what stands there stays as it is; a real
                                                    terminal may also break lines anew */
                size.ws_col = (unsigned short)wider;
                screen.columns = wider;
                ioctl(fd, TIOCSWINSZ, &size);
            }
        }
        if (ready <= 0)
            continue;
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* EIO: the other side is closed */
            break;
        for (ssize_t k = 0; k < n; k++)
            put(bytes[k]);
        fresh = true;
    }
    picture("end");
    if (waitpid(child, &status, 0) < 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
