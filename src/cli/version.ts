/** The version of the package, as in its manifest. */
export const version = "0.1.0"
