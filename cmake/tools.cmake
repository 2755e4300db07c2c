# Small programs that tests/interop drives from Python: every tests/interop/<name>.c is one, with all
# rooms at hand. Nothing more is to be written here for a new one.
file(GLOB tools CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/interop/*_tool.c)
foreach(source IN LISTS tools)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE k2_query k2_pipeline k2_log k2_lake k2_feed k2_market k2_base)
endforeach()
