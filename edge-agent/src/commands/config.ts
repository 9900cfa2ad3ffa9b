/** The folder that the command was called from: npm runs scripts in the package's folder and says where it was. */
export const callFolder = (environment: Readonly<Record<string, string | undefined>> = process.env): string =>
  environment.INIT_CWD ?? process.cwd()

/** What the surroundings say to the commands of the agent. */
export const agentEnvironment = (): Readonly<Record<string, string | undefined>> => process.env
