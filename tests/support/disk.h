/* disk.h -- the disk as a test wants it: system calls counted, failed, cut short, killed or
 * stopped, and what a power cut would have left.
 *
 * A program that is linked with disk.c has its file calls, and those of the libraries it uses, go
 * through this layer. While a folder is watched, calls on files below it are held against the
 * rules; nothing is fsynced for real. Watches nest: only the newest is asked, so that a test may
 * recover one disk while another stands still. Paths are absolute and free of symbolic links.
 * Threads: calls may come from any; watches, rules and cuts belong to one.
 */
#ifndef K2_TESTS_SUPPORT_DISK_H
#define K2_TESTS_SUPPORT_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Kinds of calls, to be or-ed. DISK_CREATE: a file that was not there, or is emptied. */
enum {
    DISK_OPEN = 1 << 0,
    DISK_CREATE = 1 << 1,
    DISK_READ = 1 << 2,
    DISK_WRITE = 1 << 3,
    DISK_SYNC = 1 << 4,
    DISK_RENAME = 1 << 5,
    DISK_LINK = 1 << 6,
    DISK_UNLINK = 1 << 7,
    DISK_TRUNCATE = 1 << 8,
    DISK_ALLOCATE = 1 << 9,
    DISK_MKDIR = 1 << 10,
    DISK_CHANGES = DISK_CREATE | DISK_WRITE | DISK_SYNC | DISK_RENAME | DISK_LINK | DISK_UNLINK |
                   DISK_TRUNCATE | DISK_ALLOCATE | DISK_MKDIR,
    DISK_GROWS = DISK_CREATE | DISK_WRITE | DISK_RENAME | DISK_LINK | DISK_ALLOCATE | DISK_MKDIR,
    DISK_ALL = DISK_CHANGES | DISK_OPEN | DISK_READ,
};

enum disk_act {
    DISK_FAIL,  /* with errno error, nothing done */
    DISK_SHORT, /* a read or write does half of what was asked; other calls pass */
    DISK_KILL,  /* SIGKILL to this process, before the call */
    DISK_STOP,  /* SIGSTOP to this process, before the call */
    DISK_TELL,  /* calls tell(self) before the call, with this watch asleep; fails it with error */
};

struct disk_rule {
    unsigned calls;      /* kinds it is for */
    const char *pattern; /* of paths, as fnmatch(3) without flags; NULL: any */
    long nth;            /* the first call it acts on, from 0 */
    bool and_after;      /* and on each after that; a DISK_SHORT then becomes a DISK_FAIL */
    enum disk_act act;
    int error; /* 0 for a DISK_TELL: the call passes */
    void (*tell)(void *self);
    void *self;
};

/* Watches the files below root (at most a few at once); the end takes the newest watch away. */
void disk_watch(const char *root);
void disk_end(void);
/* Adds a rule to the newest watch; pattern is borrowed. Rules are asked in their order. */
void disk_rule(struct disk_rule rule);
/* Takes the rules of the newest watch away. */
void disk_no_rules(void);
/* Calls on watched files, and how often a rule acted, since the newest watch began. */
long disk_calls(void);
long disk_hits(void);

/* From now on the newest watch remembers what fsync has covered: contents by fsync of the file,
 * names by fsync of the folder. What is there now counts as covered. */
void disk_record(void);
/* Makes folder (which must not exist) what a power cut at this moment may have left of root: every
 * file and name that fsync has covered, and of the rest what the seed says: lost, kept, or torn in
 * blocks or at any byte. The same seed on the same calls gives the same. */
void disk_cut(const char *folder, uint64_t seed);

/* What the kernel says it was booted as (/proc/sys/kernel/random/boot_id); 0: the truth. */
void disk_boot(int number);

#endif
