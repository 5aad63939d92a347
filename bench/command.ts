import { WrongOption } from "./options.ts"
import { NoBeanstalkd } from "./server.ts"

/** Runs a command. Of an error that the user can correct, only the message is printed. */
export const failPlainly = async (command: () => Promise<void>): Promise<void> => {
  try {
    await command()
  } catch (error) {
    if (!(error instanceof NoBeanstalkd || error instanceof WrongOption)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
