const names: ReadonlySet<string> = new Set(["delete", "touch", "release", "bury", "kick-job", "reserve-job"])

/**
 * Whether a command changes the job whose id it names. Sent to another server process, it might change another job: there the id
 * is that of another job.
 *
 * It has a module of its own because both `BeanstalkError`, which imports nothing of the protocol, and the client need it.
 */
export const changesJob = (command: string): boolean => names.has(command)
