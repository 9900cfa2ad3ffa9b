import { isIPv4 } from 'node:net'

/** Where to listen. */
export type ListenAddress = { readonly host: string; readonly port: number }

/** `host:port`, IPv6 in brackets; undefined where it is none. */
export const readListenAddress = (text: string): ListenAddress | undefined => {
  const found = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):(\d{1,5})$/.exec(text)
  const port = Number(found?.[2])
  if (found?.[1] === undefined || port > 65_535) return undefined
  return { host: found[1].replace(/^\[|\]$/g, ''), port }
}

/** Whether only this device reaches the address. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))

/** Whether a Host header names this device itself: a page in a browser that was made to resolve to loopback names its own site. */
export const namesLoopback = (header: string | undefined): boolean => {
  const host = /^(\[[^\]]+\]|[^:]+)(:\d+)?$/.exec(header ?? '')?.[1]
  return host !== undefined && isLoopback(host.toLowerCase().replace(/^\[|\]$/g, ''))
}
