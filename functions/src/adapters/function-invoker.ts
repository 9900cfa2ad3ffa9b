/** Starts another function without waiting for its end. */
export type FunctionInvoker = {
  /** @throws when the request to start was not taken */
  invoke(functionName: string, payload: unknown): Promise<void>
}
