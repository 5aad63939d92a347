/** A process that tells how much processor time it has used, whenever it is asked. */
process.on("message", () => {
  const { system, user } = process.cpuUsage()
  process.send?.(user + system)
})

process.once("disconnect", () => process.exit())
