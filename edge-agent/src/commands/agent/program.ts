/** How this program is called where it is: in the repository, or installed as a package. */
export const program = import.meta.url.endsWith('.ts') ? 'npm run agent --' : 'tributary-agent'
