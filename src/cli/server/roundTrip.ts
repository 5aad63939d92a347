/** How long a round trip to a server takes. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Client, ClientError } from "../../BeanstalkClient.ts"

/** The least of several, one after another, in seconds: the others have waited for something else as well. */
export const leastRoundTrip = ({ stats }: Client): Effect.Effect<number, ClientError> =>
  Effect.map(
    Effect.replicateEffect(Effect.timed(stats), 5),
    (all) => Math.min(...all.map(([took]) => Duration.toSeconds(took)))
  )
