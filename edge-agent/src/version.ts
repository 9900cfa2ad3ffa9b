/** Version of this agent, as it tells nodes. */
export const agentVersion = '0.1.0'
