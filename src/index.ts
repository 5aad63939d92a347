/**
 * A client of one server: one shared connection that reconnects, and separate connections for reserving.
 *
 * @since 0.1.0
 */
export * as BeanstalkClient from "./BeanstalkClient.ts"

/**
 * Several servers behind one client: jobs are spread over them.
 *
 * @since 0.1.0
 */
export * as BeanstalkCluster from "./BeanstalkCluster.ts"

/**
 * One connection to one server, with every command of the protocol.
 *
 * @since 0.1.0
 */
export * as BeanstalkConnection from "./BeanstalkConnection.ts"

/**
 * Every error of this library, as tagged errors.
 *
 * @since 0.1.0
 */
export * as BeanstalkError from "./BeanstalkError.ts"

/**
 * The protocol as pure values: commands to bytes, bytes to replies.
 *
 * @since 0.1.0
 */
export * as BeanstalkProtocol from "./BeanstalkProtocol.ts"

/**
 * How a socket to a server is opened.
 *
 * @since 0.1.0
 */
export * as Connector from "./Connector.ts"

/**
 * A beanstalkd in memory, for tests and development.
 *
 * @since 0.1.0
 */
export * as EmbeddedServer from "./EmbeddedServer.ts"

/**
 * How a client or a worker does.
 *
 * @since 0.1.0
 */
export * as Health from "./Health.ts"

/**
 * Reserved and peeked jobs, the ids of jobs and the names of tubes.
 *
 * @since 0.1.0
 */
export * as Job from "./Job.ts"

/**
 * The depth of queues as metrics.
 *
 * @since 0.1.0
 */
export * as QueueMetrics from "./QueueMetrics.ts"

/**
 * The statistics of a server, a tube and a job.
 *
 * @since 0.1.0
 */
export * as Stats from "./Stats.ts"

/**
 * A tube with a Schema for its payloads.
 *
 * @since 0.1.0
 */
export * as Tube from "./Tube.ts"

/**
 * A Clock that skips time while nothing runs.
 *
 * @since 0.1.0
 */
export * as VirtualClock from "./VirtualClock.ts"

/**
 * Workers: reserve the jobs of a tube, and run a handler for each.
 *
 * @since 0.1.0
 */
export * as Worker from "./Worker.ts"

/**
 * Tests of handlers and workers, without a server.
 *
 * @since 0.1.0
 */
export * as WorkerTest from "./WorkerTest.ts"
