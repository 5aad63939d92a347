/** Delays of jobs, in seconds. */

/** The longest delay, 136 years. */
export const longestDelaySeconds = 2 ** 32 - 1

/** A delay that is over no sooner than `timeLeft`, which the server rounds down. */
export const delaySecondsFor = (timeLeft: number): number => Math.min(Math.max(timeLeft, 0) + 1, longestDelaySeconds)
