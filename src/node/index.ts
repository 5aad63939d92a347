/**
 * @since 0.1.0
 */
export * as NodeBeanstalk from "./NodeBeanstalk.ts"

/**
 * @since 0.1.0
 */
export * as NodeCluster from "./NodeCluster.ts"

/**
 * @since 0.1.0
 */
export * as NodeConnector from "./NodeConnector.ts"

/**
 * @since 0.1.0
 */
export * as NodeEmbeddedServer from "./NodeEmbeddedServer.ts"
