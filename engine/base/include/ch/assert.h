/// Assertions on what the programmer promised; never on what a disk, a peer or a user sent.
#ifndef CH_ASSERT_H
#define CH_ASSERT_H

/// Print the place and the condition to stderr, then abort.
_Noreturn void ch_assert_failed(const char *condition, const char *file, int line);

/// Stays on in release builds. One condition each.
#define CH_ASSERT(condition)                                                             \
    ((condition) ? (void)0 : ch_assert_failed(#condition, __FILE__, __LINE__))

/// Costly checks, off in release builds.
#ifdef NDEBUG
#define CH_DEBUG_ASSERT(condition) ((void)0)
#else
#define CH_DEBUG_ASSERT(condition) CH_ASSERT(condition)
#endif

#endif
