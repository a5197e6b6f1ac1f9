"""Chat templates in the manner of public model families, and one for each feature of Jinja that such templates use."""

# ruff: noqa: E501  # one line a template where it has few

from typing import Any

TURNS = [
    {"role": "system", "content": " Be brief.\n"},
    {"role": "user", "content": "  What is 2 < 3?\n"},
    {"role": "assistant", "content": "<think>\nOne & two.\n</think>\n\nYes, é 数 \U0001f600."},
    {"role": "user", "content": "Why 'so' \"sure\"?"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds <two> numbers & says é.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number", "enum": [1, 2.5]}},
                "required": ["a"],
            },
        },
    }
]
CALLS = [
    {"role": "user", "content": "Add."},
    {
        "role": "assistant",
        "content": None,
        "reasoning": "I add.",
        "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"b": 1, "a": None}}}],
    },
    {"role": "tool", "name": "add", "content": "3"},
]
BLOCKS = [{"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": "here"}]}]

CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "one question": ([{"role": "user", "content": "What is 2 + 2?"}], {}),
    "with a system prompt": (TURNS[:2], {"enable_thinking": False}),
    "four turns": (TURNS, {"enable_thinking": True, "documents": [{"title": "T", "text": "Text."}]}),
    "with tools": (CALLS, {"tools": TOOLS}),
    "blocks": (BLOCKS, {"reasoning_effort": "high"}),
}

FAMILIES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "chatml with a default system prompt": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are helpful<|im_end|>\\n' }}{% endif %}<|im_start|>{{ message.role }}\n"
    "{{ message.content | trim }}<|im_end|>\n{% endfor %}",
    "llama 2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}"
    "{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}"
    "{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama 3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "llama 3.1 with dates and tools": "{{- bos_token }}\n{%- if custom_tools is defined %}\n    {%- set tools = custom_tools %}\n"
    "{%- endif %}\n{%- if not tools_in_user_message is defined %}\n    {%- set tools_in_user_message = true %}\n{%- endif %}\n"
    "{%- if not date_string is defined %}\n    {%- set date_string = '26 Jul 2024' %}\n{%- endif %}\n"
    "{%- if not tools is defined %}\n    {%- set tools = none %}\n{%- endif %}\n{{- 'Today Date: ' + date_string + '\\n\\n' }}\n"
    "{%- if tools is not none and not tools_in_user_message %}no\n{%- elif tools is not none %}\n{%- for t in tools %}\n"
    "{{- t | tojson(indent=4) }}\n{{- '\\n\\n' }}\n{%- endfor %}\n{%- endif %}\n{%- for message in messages %}\n"
    "{%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}\n"
    "{{- '<|h|>' + message['role'] }}{{ message['content'] }}\n{%- elif 'tool_calls' in message %}\n"
    "{%- if not message.tool_calls|length == 1 %}{{- raise_exception('one call') }}{%- endif %}\n"
    "{%- set tool_call = message.tool_calls[0].function %}\n{%- for arg_name, arg_val in tool_call.arguments | items %}\n"
    "{{- arg_name + '=' }}{{ arg_val | tojson }}\n{%- if not loop.last %}{{- ', ' }}{%- endif %}\n{%- endfor %}\n{%- endif %}\n"
    "{%- endfor %}",
    "mistral": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    "gemma 3": "{{ bos_token }}\n{%- if messages[0]['role'] == 'system' -%}\n    {%- if messages[0]['content'] is string -%}\n"
    "        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}\n    {%- else -%}\n"
    "        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}\n    {%- endif -%}\n"
    "    {%- set loop_messages = messages[1:] -%}\n{%- else -%}\n    {%- set first_user_prefix = '' -%}\n"
    "    {%- set loop_messages = messages -%}\n{%- endif -%}\n{%- for message in loop_messages -%}\n"
    "    {{ '<start_of_turn>' + message['role'] + '\n' + (first_user_prefix if loop.first else '') }}\n"
    "    {%- if message['content'] is string -%}\n        {{ message['content'] | trim }}\n"
    "    {%- elif message['content'] is iterable -%}\n        {%- for item in message['content'] -%}\n"
    "            {%- if item['type'] == 'text' -%}\n                {{ item['text'] | trim }}\n            {%- endif -%}\n"
    "        {%- endfor -%}\n    {%- else -%}\n        {{ raise_exception('Invalid content type') }}\n    {%- endif -%}\n"
    "    {{ '<end_of_turn>\n' }}\n{%- endfor -%}",
    "phi 3": "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + "
    "message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "qwen 3": "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0].role == 'system' %}\n"
    "        {{- messages[0].content + '\\n\\n' }}\n    {%- endif %}\n    {{- '# Tools\\n\\n<tools>' }}\n"
    "    {%- for tool in tools %}\n        {{- '\\n' }}\n        {{- tool | tojson }}\n    {%- endfor %}\n"
    "    {{- '\\n</tools><|im_end|>\\n' }}\n{%- elif messages[0].role == 'system' %}\n"
    "    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n{%- endif %}\n"
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n"
    "{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n"
    "    {%- if ns.multi_step_tool and message.role == 'user' and message.content is string and not"
    "(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n"
    "        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n"
    "{%- for message in messages %}\n    {%- if message.content is string %}\n        {%- set content = message.content %}\n"
    "    {%- else %}\n        {%- set content = '' %}\n    {%- endif %}\n"
    "    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) %}\n"
    "        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n"
    "    {%- elif message.role == 'assistant' %}\n        {%- set reasoning_content = '' %}\n"
    "        {%- if message.reasoning_content is string %}\n            {%- set reasoning_content = message.reasoning_content %}\n"
    "        {%- else %}\n            {%- if '</think>' in content %}\n"
    "                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n"
    "                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n            {%- endif %}\n        {%- endif %}\n"
    "        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}\n"
    "            {{- '<|im_start|>assistant\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}\n"
    "        {%- else %}\n            {{- '<|im_start|>assistant\\n' + content }}\n        {%- endif %}\n"
    "        {%- for tool_call in message.tool_calls or [] %}\n            {%- if tool_call.function %}\n"
    "                {%- set tool_call = tool_call.function %}\n            {%- endif %}\n"
    '            {{- \'\\n<tool_call>\\n{"name": "\' }}\n            {{- tool_call.name }}\n            {{- \'", "arguments": \' }}\n'
    "            {%- if tool_call.arguments is string %}\n                {{- tool_call.arguments }}\n            {%- else %}\n"
    "                {{- tool_call.arguments | tojson }}\n            {%- endif %}\n            {{- '}\\n</tool_call>' }}\n"
    "        {%- endfor %}\n        {{- '<|im_end|>\\n' }}\n    {%- elif message.role == 'tool' %}\n"
    "        {%- if loop.first or (messages[loop.index0 - 1].role != 'tool') %}\n            {{- '<|im_start|>user' }}\n"
    "        {%- endif %}\n        {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}\n"
    "        {%- if loop.last or (messages[loop.index0 + 1].role != 'tool') %}\n            {{- '<|im_end|>\\n' }}\n"
    "        {%- endif %}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n"
    "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}",
    "smollm 3": "{%- if enable_thinking is not defined -%}\n{%- set enable_thinking = true -%}\n{%- endif -%}\n"
    "{%- set reasoning_mode = '/think' if enable_thinking else '/no_think' -%}\n{{- '<|im_start|>system\\n' -}}\n"
    "{{- 'Today Date: ' ~ strftime_now('%d %B %Y') ~ '\\n' ~ 'Reasoning Mode: ' + reasoning_mode + '\\n\\n' -}}\n"
    "{%- for message in messages -%}\n    {%- set content = message.content if message.content is string else '' -%}\n"
    "    {%- if message.role == 'user' -%}\n        {{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}\n"
    "    {%- elif message.role == 'assistant' -%}\n        {%- generation -%}\n        {%- if reasoning_mode == '/think' -%}\n"
    "            {{ '<|im_start|>assistant\\n' + content.lstrip('\\n') + '<|im_end|>\\n' }}\n        {%- else -%}\n"
    "            {{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n' + content.lstrip('\\n') + '<|im_end|>\\n' }}\n"
    "        {%- endif -%}\n        {%- endgeneration -%}\n    {%- endif -%}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n    {{ '<|im_start|>assistant\\n' }}\n{%- endif -%}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "deepseek": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}"
    "{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}"
    "{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{% set content = message['content'] %}"
    "{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + content}}{%- endif %}"
    "{%- if message['role'] == 'assistant' and content %}{% if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}"
    "{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}",
    "granite": "{%- for m in messages %}{%- if m['role'] == 'system' %}{%- set system_message = m['content'] %}{%- break %}{%- endif %}"
    "{%- endfor %}{%- for m in messages %}{%- if m.role == 'system' %}{%- continue %}{%- endif %}"
    "{{- '<|start_of_role|>' ~ m.role ~ '<|end_of_role|>' ~ (m.content | string) }}{%- endfor %}",
    "gpt-oss": "{%- macro render_type(spec, required=false) -%}{%- if spec.type == 'array' -%}{{- render_type(spec['items']) + '[]' }}"
    "{%- elif spec.type is defined and spec.type is iterable and spec.type is not string -%}{{- spec.type | join(' | ') }}"
    "{%- elif spec.enum is defined -%}{{- '\"' + spec.enum | join('\" | \"') + '\"' -}}{%- else -%}{{ spec.type }}{%- endif -%}"
    "{%- endmacro -%}{{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort | default('medium')) + '\\n' }}"
    "{%- if tools -%}{%- for tool in tools -%}{%- for name, spec in tool.function.parameters.properties.items() -%}"
    "{{- name + ': ' + render_type(spec) }}{%- if name in (tool.function.parameters.required or []) -%}!{%- endif -%}{%- endfor -%}"
    "{%- endfor -%}{%- endif -%}{%- for message in messages -%}{%- if 'thinking' in message -%}"
    "{{- '<|channel|>analysis<|message|>' + message.thinking }}{%- endif -%}{{- '<|start|>' + message.role }}{%- endfor -%}",
}

FEATURES = {
    "a generation block scopes what it sets": "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "a generation block in a loop": "{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}",
    "tojson does not escape": "{{ messages | tojson }}",
    "tojson with an indent": "{{ messages | tojson(indent=2) }}",
    "tojson with ASCII": "{{ messages | tojson(ensure_ascii=true) }}",
    "tojson with separators": "{{ messages | tojson(separators=(',', ':')) }}",
    "tojson with sorted keys": "{{ messages | tojson(sort_keys=true) }}",
    "tojson with all of them": "{{ messages | tojson(false, 1, (', ', ' : '), true) }}",
    "tojson with a wrong argument": "{{ messages | tojson(nonsense=1) }}",
    "trim upper lower title": "{% for m in messages %}{{ m.role | upper | trim }}{{ m.role | title }}{{ m.role | capitalize | lower }}{% endfor %}",
    "map and join": "{{ messages | map(attribute='role') | join(', ') }}",
    "selectattr and list": "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
    "rejectattr and first": "{{ (messages | rejectattr('role', 'in', ['system', 'tool']) | first).role }}",
    "last and default": "{{ (messages | last).role }}{{ nothing | default('none') }}{{ '' | default('empty', true) }}",
    "items and dictsort": "{% for k, v in messages[0] | items %}{{ k }}{% endfor %}{% for k, v in messages[0] | dictsort %}{{ k }}{% endfor %}",
    "replace and length": "{{ messages[0].role | replace('s', 'z') }}{{ messages | length }}{{ messages | count }}",
    "indent and wordcount": "{{ 'a\nb\nc' | indent(4) }}{{ 'a b' | wordcount }}",
    "unique sort reverse": "{{ messages | map(attribute='role') | unique | sort | reverse | list }}",
    "tests of types": "{% for m in messages %}{{ m is mapping }}{{ m.content is string }}{{ m.content is iterable }}{{ m.x is defined }}"
    "{{ m.x is none }}{{ loop.index is odd }}{{ 1 is number }}{{ true is boolean }}{{ m.content is sequence }}{% endfor %}",
    "slices": "{{ messages[1:] | length }}{{ messages[:-1] | length }}{{ messages[::-1][0].role }}{{ messages[-1]['role'] }}",
    "string methods": "{% for m in messages %}{% if m.content is string %}{{ m.content.split('?')[0].strip() }}"
    "{{ m.content.startswith(' ') }}{{ m.content.endswith('.') }}{{ m.content.lstrip() }}{{ m.content.rstrip('\n') }}"
    "{{ m.content.find('s') }}{{ m.content.title() }}{{ m.content.replace('a', 'b') }}{% endif %}{% endfor %}",
    "format and percent": "{{ '%s-%05.2f' % (messages[0].role, 2) }}{{ '{}: {role}'.format(1, role='r') }}{{ '%s' | format('x') }}",
    "inline if": "{{ 'yes' if messages | length > 1 else 'no' }}{{ 'only' if false }}",
    "concatenation": "{{ 1 ~ 'a' ~ none ~ true ~ 1.5 ~ [1, 'b'] }}",
    "the loop's variables": "{% for m in messages %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}"
    "{{ loop.previtem.role if loop.previtem is defined else '-' }}{{ loop.nextitem.role if loop.nextitem is defined else '-' }}"
    "{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{% else %}empty{% endfor %}",
    "a recursive loop": "{% for x in [[1, [2]], [3]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}",
    "a filtered loop": "{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ m.role }}{% endfor %}",
    "break and continue": "{% for m in messages %}{% if loop.index == 1 %}{% continue %}{% endif %}{{ m.role }}{% break %}{% endfor %}",
    "macros": "{% macro turn(role, text='-', end=true) %}<{{ role }}>{{ text }}{% if end %}.{% endif %}{{ varargs }}{{ kwargs }}{% endmacro %}"
    "{% for m in messages %}{{ turn(m.role) }}{{ turn(m.role, 'x', false, 1, k=2) }}{% endfor %}",
    "a call block": "{% macro box(title) %}[{{ title }}: {{ caller('in') }}]{% endmacro %}{% call(x) box('t') %}{{ x }}{{ messages | length }}{% endcall %}",
    "a set block and a filter block": "{% set text %} a {{ messages | length }} {% endset %}{{ text | trim }}{% filter upper %}abc{% endfilter %}",
    "with": "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "a namespace": "{% set ns = namespace(n=0, last=none) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.last = m.role %}{% endfor %}"
    "{{ ns.n }}{{ ns.last }}",
    "a namespace from a table": "{% set ns = namespace({'a': 1}, self=2) %}{{ ns.a }}{{ ns.self }}",
    "a namespace keeps no dunder name": "{% set ns = namespace(__class__=1) %}{{ ns }}",
    "dict": "{{ dict(a=1, **{'b': 2}) | tojson }}{{ dict.fromkeys(['x', 'y'], 0) }}{{ dict.mro is defined }}",
    "set outside a loop": "{% set found = false %}{% for m in messages %}{% set found = true %}{% endfor %}{{ found }}",
    "whitespace control": "  {%- if true -%}\n   a   \n{%- endif %}\n   {% if true %}\n  b\n   {% endif %}  \n {#- note -#} c {{- ' d ' -}} \n e\n\n",
    "whitespace kept": "{%+ if true +%}\n a\n{%+ endif +%}\n",
    "raw": "{% raw %}{{ not rendered }}{% endraw %}",
    "numbers": "{{ 7 // 2 }}{{ 7 / 2 }}{{ 2 ** 8 }}{{ -7 % 3 }}{{ 1e3 }}{{ 0.1 + 0.2 }}{{ 3 | float }}{{ '7' | int + 1 }}{{ 2.567 | round(1) }}",
    "comparison chains and not in": "{{ 1 < 2 < 3 }}{{ 'a' not in 'bc' }}{{ not false and (true or false) }}",
    "literals": "{{ ['a', 1, none, True, False, None] }}{{ {'k': (1, 2)} }}{{ 'é\\n\\t\\u00e9' }}",
    "special tokens are variables": "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ cls_token }}|{{ mask_token }}|{{ sep_token }}",
    "special tokens given": "{{ eos_token ~ extra_token }}",
    "undefined is empty": "{{ nowhere }}{{ messages[0].nowhere }}{{ messages[99] }}{% if nowhere %}x{% endif %}",
    "undefined of undefined": "{{ nowhere.at.all }}",
    "time": "{{ strftime_now('%Y-%m-%d') }}",
    "refusal": "{{ raise_exception('no, ' ~ messages[0].role) }}",
    "tools and documents are none": "{{ tools is none }}{{ tools is defined }}{{ documents is none }}{{ add_generation_prompt }}",
    "range": "{% for i in range(3) %}{{ i }}{% endfor %}{{ range(1, 10, 3) | list }}",
    "a range that is too large": "{{ range(100001) | list | length }}",
    "cycler joiner lipsum": "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{% set j = joiner(', ') %}{{ j() }}x{{ j() }}y",
    "groupby and batch": "{% for role, ms in messages | groupby('role') %}{{ role }}{{ ms | length }}{% endfor %}{{ [1,2,3] | batch(2) | list }}",
    "sum max min": "{{ [1, 2, 3] | sum }}{{ [1, 5, 3] | max }}{{ [4, 2] | min }}",
    "xmlattr escape safe": "{{ '<b>' | escape }}{{ '<b>' | e }}{{ '<b>' | safe }}{{ '<b>' | striptags }}{{ 'a&b' | urlencode }}",
    "pprint truncate center": "{{ {'b': 1, 'a': 2} | pprint }}{{ 'abcdefghij' | truncate(5) }}{{ 'x' | center(5) }}",
    "the sandbox holds lists": "{% set x = [] %}{{ x.append(1) }}",
    "the sandbox hides dunders": "{{ ''.__class__ }}{{ ''.__class__.__mro__ }}",
    "an unknown filter": "{{ messages | nonsense }}",
    "an unknown tag": "{% nonsense %}",
    "a syntax error": "{% if %}",
    "break outside a loop": "{% break %}",
    "an include": "{% include 'other.jinja' %}",
    "division by zero": "{{ 1 / 0 }}",
    "a type error": "{{ messages + 1 }}",
    "endless recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "unicode": "数{{ '😀' }}{{ messages[0].role ~ '…' }}\u200b\u00a0{{ 'ﬁ' | length }}",
    "a block": "{% block turn %}{{ messages | length }}{% endblock %}{{ self.turn() }}",
    "autoescape stays off": "{% autoescape false %}{{ '<' }}{% endautoescape %}",
}

TEMPLATES = {**FAMILIES, **FEATURES}
