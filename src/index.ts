/**
 * @since 0.1.0
 */
export * as BeanstalkClient from "./BeanstalkClient.ts"

/**
 * @since 0.1.0
 */
export * as BeanstalkConnection from "./BeanstalkConnection.ts"

/**
 * @since 0.1.0
 */
export * as BeanstalkError from "./BeanstalkError.ts"

/**
 * @since 0.1.0
 */
export * as BeanstalkProtocol from "./BeanstalkProtocol.ts"

/**
 * @since 0.1.0
 */
export * as Connector from "./Connector.ts"

/**
 * @since 0.1.0
 */
export * as EmbeddedServer from "./EmbeddedServer.ts"

/**
 * @since 0.1.0
 */
export * as Job from "./Job.ts"

/**
 * @since 0.1.0
 */
export * as Stats from "./Stats.ts"

/**
 * @since 0.1.0
 */
export * as Tube from "./Tube.ts"

/**
 * @since 0.1.0
 */
export * as VirtualClock from "./VirtualClock.ts"

/**
 * @since 0.1.0
 */
export * as Worker from "./Worker.ts"

/**
 * @since 0.1.0
 */
export * as WorkerTest from "./WorkerTest.ts"
